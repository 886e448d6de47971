// The f32 matrix multiplication's inner loops: a register tile, and the loop over tiles of one block.
// Called by kernels/gemm.hpp through the table.  Per ISA.
//
// A tile is MR rows of A against NR columns of W, with MR x NR / width accumulators in registers; each step of k
// broadcasts MR values of A and loads NR of the packed panel.  Every output is one chain of fused multiply-adds over
// k = 0, 1, ..., depth - 1, whatever the tile's size: a row's result does not depend on what else is in the batch.
#pragma once

#include "clipon/kernels/micro/activation.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// Register budget: MR * NV accumulators + NV loads (+ 1 broadcast where memory operands can't broadcast).
template <class Arch, int bits = Arch::vector_bits>
struct GemmF32Tile {  // portable: 16 sums keep a scalar FPU busy
  static constexpr int rows = 4;
  static constexpr int vectors = 4;
};
template <class Arch>
struct GemmF32Tile<Arch, 128> {  // 8 + 2 + 1 of 16 registers
  static constexpr int rows = 4;
  static constexpr int vectors = 2;
};
template <class Arch>
struct GemmF32Tile<Arch, 256> {  // 12 + 2 + 1 of 16 registers
  static constexpr int rows = 6;
  static constexpr int vectors = 2;
};
template <class Arch>
struct GemmF32Tile<Arch, 512> {  // 24 + 3 of 32 registers, broadcasts from memory
  static constexpr int rows = 8;
  static constexpr int vectors = 3;
};

template <class Arch>
constexpr index_t gemm_f32_rows = GemmF32Tile<Arch>::rows;
template <class Arch>
constexpr index_t gemm_f32_columns = GemmF32Tile<Arch>::vectors* simd::F32<Arch>::width;

// The epilogue of one tile: sums [rows, sums_stride], of which `columns` are wanted.
template <class Arch>
inline void finish_tile(const float* sums, int rows, index_t sums_stride, index_t columns, const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  for (int r = 0; r < rows; ++r, sums += sums_stride) {
    float* out = epilogue.out + r * epilogue.out_stride;
    const float* residual = epilogue.residual + (epilogue.residual != nullptr ? r * epilogue.residual_stride : 0);
    for (index_t c = 0; c < columns; c += V::width) {
      const index_t left = columns - c;
      auto x = V::load(sums + c);
      if (left >= V::width) {
        if (epilogue.bias != nullptr) x = x + V::load(epilogue.bias + c);
        if (epilogue.residual != nullptr) x = x + V::load(residual + c);
        V::store(out + c, activate<Arch>(epilogue.activation, x));
      } else {
        if (epilogue.bias != nullptr) x = x + V::load_part(epilogue.bias + c, left);
        if (epilogue.residual != nullptr) x = x + V::load_part(residual + c, left);
        V::store_part(out + c, activate<Arch>(epilogue.activation, x), left);
      }
    }
  }
}

// One register tile; `b` is a panel, [depth][NR].
template <class Arch, int MR, int NV>
inline void gemm_f32_tile(const float* CLIPON_RESTRICT a, index_t a_stride, const float* CLIPON_RESTRICT b,
                          index_t depth, index_t columns, const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  Batch sum[MR][NV];
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[r][v] = V::set(0.0f);
  }
  for (index_t k = 0; k < depth; ++k) {
    Batch w[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) w[v] = V::load(b + v * V::width);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const Batch x = V::set(a[r * a_stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[r][v] = V::fma(x, w[v], sum[r][v]);
    }
    b += gemm_f32_columns<Arch>;
  }
  alignas(64) float sums[MR * NV * V::width];  // [MR, NV * width]
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) V::store(sums + (r * NV + v) * V::width, sum[r][v]);
  }
  finish_tile<Arch>(sums, MR, NV * V::width, columns, epilogue);
}

// The tile with as many vectors as the panel's columns need.
template <class Arch, int MR>
inline void gemm_f32_narrow(const float* a, index_t a_stride, const float* b, index_t depth, index_t columns,
                            const Epilogue& epilogue) {
  constexpr int most = GemmF32Tile<Arch>::vectors;
  const index_t vectors = (columns + simd::F32<Arch>::width - 1) / simd::F32<Arch>::width;
  if constexpr (most >= 4) {
    if (vectors == 4) return gemm_f32_tile<Arch, MR, 4>(a, a_stride, b, depth, columns, epilogue);
  }
  if constexpr (most >= 3) {
    if (vectors == 3) return gemm_f32_tile<Arch, MR, 3>(a, a_stride, b, depth, columns, epilogue);
  }
  if (vectors == 2) return gemm_f32_tile<Arch, MR, 2>(a, a_stride, b, depth, columns, epilogue);
  return gemm_f32_tile<Arch, MR, 1>(a, a_stride, b, depth, columns, epilogue);
}

// The tile of any height up to MR.
template <class Arch>
inline void gemm_f32_any(index_t rows, const float* a, index_t a_stride, const float* b, index_t depth, index_t columns,
                         const Epilogue& epilogue) {
  constexpr int most = GemmF32Tile<Arch>::rows;
  if constexpr (most >= 8) {
    if (rows == 8) return gemm_f32_narrow<Arch, 8>(a, a_stride, b, depth, columns, epilogue);
    if (rows == 7) return gemm_f32_narrow<Arch, 7>(a, a_stride, b, depth, columns, epilogue);
  }
  if constexpr (most >= 6) {
    if (rows == 6) return gemm_f32_narrow<Arch, 6>(a, a_stride, b, depth, columns, epilogue);
    if (rows == 5) return gemm_f32_narrow<Arch, 5>(a, a_stride, b, depth, columns, epilogue);
  }
  if (rows == 4) return gemm_f32_narrow<Arch, 4>(a, a_stride, b, depth, columns, epilogue);
  if (rows == 3) return gemm_f32_narrow<Arch, 3>(a, a_stride, b, depth, columns, epilogue);
  if (rows == 2) return gemm_f32_narrow<Arch, 2>(a, a_stride, b, depth, columns, epilogue);
  return gemm_f32_narrow<Arch, 1>(a, a_stride, b, depth, columns, epilogue);
}

// Rows r0..r1 of an epilogue's matrices, from column c on.
template <class Arch>
CLIPON_ALWAYS_INLINE Epilogue offset(const Epilogue& epilogue, index_t row, index_t column) {
  Epilogue moved = epilogue;
  moved.out += row * epilogue.out_stride + column;
  if (moved.bias != nullptr) moved.bias += column;
  if (moved.residual != nullptr) moved.residual += row * epilogue.residual_stride + column;
  return moved;
}

/// The block of one thread: each panel of W stays in the cache while all rows pass.  The rows are cut into tiles of
/// nearly equal height (50 rows: 7 tiles of 7 or 8), because a low last tile would be bound by its loads of W.
template <class Arch>
inline void gemm_f32(const GemmBlock& block) {
  constexpr index_t panel_columns = gemm_f32_columns<Arch>;
  const index_t tiles = (block.rows + gemm_f32_rows<Arch> - 1) / gemm_f32_rows<Arch>;
  for (index_t column = 0; column < block.columns; column += panel_columns) {
    const index_t left = block.columns - column;
    const index_t columns = left < panel_columns ? left : panel_columns;
    for (index_t tile = 0; tile < tiles; ++tile) {
      const index_t row = tile * block.rows / tiles;
      const index_t rows = (tile + 1) * block.rows / tiles - row;
      gemm_f32_any<Arch>(rows, block.a + row * block.a_stride, block.a_stride, block.panels + column * block.depth,
                         block.depth, columns, offset<Arch>(block.epilogue, row, column));
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

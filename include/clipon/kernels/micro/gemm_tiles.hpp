// The matrix multiplication's inner loops on tiles (AMX): bf16 and int8.  Called by gemm_by_type.hpp.  Per ISA.
//
// The packed panel of gemm.hpp is what a right tile wants: 16 of its steps are 16 rows of 64 bytes a column tile.  Up
// to 32 rows of A against a panel's 48 columns are two by three tiles of sums.  Both halves have the same height; of an
// odd number of rows the middle one is computed twice, with the same result.  Depth that fills no whole tile is copied
// to zeros first.
#pragma once

#include "clipon/kernels/micro/finish_tile.hpp"
#include "clipon/kernels/micro/gemm.hpp"
#include "clipon/simd/tiles.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
constexpr int column_tiles = static_cast<int>(gemm_columns<Arch> / 16);

/// Rows of A and a panel of W, in bytes, in whole tiles and what is left of the depth.
template <class Arch>
struct TilePanel {
  static constexpr index_t stride = gemm_columns<Arch> * 4;  // bytes of a step
  const unsigned char* steps = nullptr;                      // [16 whole][NR] of 32 bits
  index_t whole = 0;                                         // tiles along the depth
  index_t left = 0;                                          // bytes of a row of A past those
  alignas(64) unsigned char last[simd::kTileRows * stride];  // the steps of the last tile, zeros below them

  void set(const unsigned char* panel, index_t depth_bytes) {
    steps = panel;
    whole = depth_bytes / simd::kTileBytes;
    left = depth_bytes % simd::kTileBytes;
    if (left == 0) return;
    std::memset(last, 0, sizeof last);
    std::memcpy(last, panel + whole * simd::kTileRows * stride, static_cast<std::size_t>(left / 4 * stride));
  }
};

template <class Tiles, DataType type, int c>
CLIPON_ALWAYS_INLINE void add_tile(Tiles& tiles) {
  if constexpr (type == DataType::bf16) {
    tiles.template add_bf16<c>();
  } else {
    tiles.template add_i8<c>();
  }
}

/// One step of depth: `left` is 16 or fewer rows of A, `right` the panel's 16 steps; the sums are tiles first, ....
template <class Arch, class Tiles, DataType type, int columns, int first>
CLIPON_ALWAYS_INLINE void add_tiles(Tiles& tiles, const unsigned char* left, index_t left_stride,
                                    const unsigned char* right) {
  tiles.template load<simd::kLeftTile>(left, left_stride);
  tiles.template load<simd::kRightTile>(right, TilePanel<Arch>::stride);
  add_tile<Tiles, type, first>(tiles);
  if constexpr (columns > 1) {
    tiles.template load<simd::kRightTile>(right + 64, TilePanel<Arch>::stride);
    add_tile<Tiles, type, first + 1>(tiles);
  }
  if constexpr (columns > 2) {
    tiles.template load<simd::kRightTile>(right + 128, TilePanel<Arch>::stride);
    add_tile<Tiles, type, first + 2>(tiles);
  }
}

template <class Tiles, int columns, int first>
CLIPON_ALWAYS_INLINE void store_tiles(const Tiles& tiles, unsigned char* sums, index_t stride) {
  tiles.template store<first>(sums, stride);
  if constexpr (columns > 1) tiles.template store<first + 1>(sums + 64, stride);
  if constexpr (columns > 2) tiles.template store<first + 2>(sums + 128, stride);
}

/// Sums [rows, NR] of rows of A, `bytes` apart, with `columns` column tiles of a panel.  The tiles are configured for
/// half of the rows, rounded up.
template <class Arch, class Tiles, DataType type, int columns>
inline void multiply_tiles(Tiles& tiles, const unsigned char* a, index_t bytes, index_t rows,
                           const TilePanel<Arch>& panel, unsigned char* sums) {
  const index_t lower = rows / 2;  // where the second half starts: at row 0 again, if there is one row only
  tiles.template zero<0>();
  tiles.template zero<1>();
  tiles.template zero<2>();
  tiles.template zero<3>();
  tiles.template zero<4>();
  tiles.template zero<5>();
  const unsigned char* left = a;
  const unsigned char* right = panel.steps;
  for (index_t k = 0; k < panel.whole; ++k) {
    add_tiles<Arch, Tiles, type, columns, 0>(tiles, left, bytes, right);
    if (lower > 0) add_tiles<Arch, Tiles, type, columns, 3>(tiles, left + lower * bytes, bytes, right);
    left += simd::kTileBytes;
    right += simd::kTileRows * TilePanel<Arch>::stride;
  }
  if (panel.left > 0) {
    alignas(64) unsigned char padded[2 * simd::kTileRows * simd::kTileBytes] = {};
    for (index_t r = 0; r < rows; ++r) {
      std::memcpy(padded + r * simd::kTileBytes, left + r * bytes, static_cast<std::size_t>(panel.left));
    }
    const unsigned char* half = padded + lower * simd::kTileBytes;
    add_tiles<Arch, Tiles, type, columns, 0>(tiles, padded, simd::kTileBytes, panel.last);
    if (lower > 0) add_tiles<Arch, Tiles, type, columns, 3>(tiles, half, simd::kTileBytes, panel.last);
  }
  store_tiles<Tiles, columns, 0>(tiles, sums, TilePanel<Arch>::stride);
  if (lower > 0) {
    store_tiles<Tiles, columns, 3>(tiles, sums + lower * TilePanel<Arch>::stride, TilePanel<Arch>::stride);
  }
}

/// The block of one thread, as in gemm.hpp.
template <class Arch, class Tiles, DataType type>
inline void gemm_block_tiles(const GemmBlock& block) {
  static_assert(gemm_columns<Arch> % 16 == 0 && column_tiles<Arch> <= 3);
  using Stored = std::conditional_t<type == DataType::i8, std::int32_t, float>;
  constexpr index_t most = 2 * simd::kTileRows;
  constexpr index_t nr = gemm_columns<Arch>;
  const index_t pairs = (block.rows + most - 1) / most;
  const index_t bytes = block.a.stride * static_cast<index_t>(size_of(type));  // of a row of A
  const index_t depth_bytes = padded_depth(type, block.depth) * static_cast<index_t>(size_of(type));
  const auto* a = static_cast<const unsigned char*>(block.a.data);
  const auto* panel_bytes = static_cast<const unsigned char*>(block.panels);
  Tiles tiles;
  TilePanel<Arch> panel;
  index_t configured = 0;
  for (index_t column = 0; column < block.columns; column += nr) {
    panel.set(panel_bytes + column * depth_bytes, depth_bytes);
    const index_t columns = block.columns - column < nr ? block.columns - column : nr;
    for (index_t pair = 0; pair < pairs; ++pair) {  // of nearly equal height
      const index_t row = pair * block.rows / pairs;
      const index_t rows = (pair + 1) * block.rows / pairs - row;
      const index_t height = (rows + 1) / 2;
      if (height != configured) tiles.configure(static_cast<int>(height));
      configured = height;
      alignas(64) unsigned char memory[most * nr * 4];
      if (columns > 32) {
        multiply_tiles<Arch, Tiles, type, 3>(tiles, a + row * bytes, bytes, rows, panel, memory);
      } else if (columns > 16) {
        multiply_tiles<Arch, Tiles, type, 2>(tiles, a + row * bytes, bytes, rows, panel, memory);
      } else {
        multiply_tiles<Arch, Tiles, type, 1>(tiles, a + row * bytes, bytes, rows, panel, memory);
      }
      const auto* sums = reinterpret_cast<const Stored*>(memory);
      const Epilogue epilogue = offset<Arch>(block.epilogue, row, column);
      if constexpr (type == DataType::i8) {
        const ScaledSums<Arch> scaled{sums, nr, block.a.scales + row, block.column_scale + column,
                                      block.column_sum + column};
        finish_tile<Arch>(scaled, rows, columns, epilogue);
      } else {
        finish_tile<Arch>(FloatSums<Arch>{sums, nr}, rows, columns, epilogue);
      }
    }
  }
  tiles.release();
}

}  // namespace clipon::inline CLIPON_ABI::kernels

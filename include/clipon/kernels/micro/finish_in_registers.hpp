// The epilogue of a tile whose sums are still in registers: bias, residual, and no activation or ReLU.  Called by
// gemm.hpp.  Per ISA.
//
// Sums that pass through memory cost as much as 50 steps of k: nothing for a Transformer's products, a fifth of a
// ResNet's, whose depth is 64 to 512.  Only where registers hold the sums and what is added to them (of 256 bits at
// most 12 sums, 3 registers of a column and 1 of a row), and for the tiles that most of a product consists of.  The
// same operations as finish_tile.hpp's, so the same bits.
#pragma once

#include "clipon/kernels/micro/finish_tile.hpp"
#include "clipon/kernels/micro/gemm_tile_size.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, class Product, int MR, int NV>
constexpr bool stays_in_registers = Arch::vector_bits >= 256 && (NV == GemmTile<Arch>::vectors) &&
                                    (MR >= GemmTile<Arch>::rows_of(Product::type) - 1);

/// scales: of integer sums; unused by the other types.
template <class Arch, class Product, Activation activation, int MR, int NV>
CLIPON_ALWAYS_INLINE void finish_in_registers(const typename Product::Sum (&sum)[MR][NV], const IntegerScales& scales,
                                              const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  const Epilogue to = epilogue;  // a copy, whose members stay in registers: stores could change the caller's
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const index_t c = v * V::width;
    const auto bias = to.bias == nullptr ? V::set(0.0f) : V::load(to.bias + c);
    auto scale = V::set(1.0f);
    auto column_sum = V::set(0.0f);
    if constexpr (is_integer(Product::type)) {
      scale = V::load(scales.column + c);
      column_sum = V::load(scales.column_sum + c);
    }
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      typename V::Batch x;
      if constexpr (is_integer(Product::type)) {
        const auto integers = V::from_integers(std::bit_cast<typename V::Integers>(sum[r][v]));
        x = scaled_sum<Arch>(integers, scales.row[r], column_sum, scale, bias);
      } else {
        x = typename V::Batch(sum[r][v]) + bias;
      }
      finish_register<Arch, activation, true>(x, to, r * to.out_stride + c, r * to.residual_stride + c, V::width);
    }
  }
}

/// Asks for the residual that is added to the sums: it lies a row apart, where no prefetcher looks, and a tile of
/// little depth would wait for it.  That of floats belongs to products of floats, which take twice as long.
template <class Arch, int MR, int NV>
CLIPON_ALWAYS_INLINE void prefetch_residual(const Epilogue& epilogue) {
  constexpr index_t columns = NV * simd::F32<Arch>::width;
  if (epilogue.residual_bf16 == nullptr) return;
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
    const std::uint16_t* row = epilogue.residual_bf16 + r * epilogue.residual_stride;
    __builtin_prefetch(row);
    __builtin_prefetch(row + columns - 1);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

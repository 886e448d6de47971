// What the processor could do: products on registers alone, without memory.  Called by `clipon bench`, so that a speed
// can be told as a share of the peak of the same run.  Per ISA.
#pragma once

#include "clipon/kernels/micro/gemm_by_type.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// The sums of a full tile, each of which waits for the one before: as many chains as the GEMM's own tile has.
template <class Arch, class Product>
inline double peak_of(index_t steps) {
  constexpr int chains = GemmTile<Arch>::rows_of(Product::type) * GemmTile<Arch>::vectors;
  const volatile std::uint64_t unknown = 0;  // read anew each time, so that no two chains are known to be equal
  std::uint32_t zeros[gemm_columns<Arch> + simd::F32<Arch>::width] = {};  // as much as a product loads of a panel
  for (std::uint32_t& bits : zeros) bits = static_cast<std::uint32_t>(unknown);
  const auto w = Product::load(zeros);
  typename Product::Sum sum[chains];
#pragma GCC unroll 32
  for (int i = 0; i < chains; ++i) {
    const std::uint64_t value = unknown;
    auto x = Product::broadcast(&value);
    sum[i] = Product::add(x, w, Product::zero());
  }
  constexpr int together = 4;  // steps: a broadcast from a register takes a port that products want
  for (index_t k = 0; k < steps; k += together) {
    const std::uint64_t value = unknown;
    auto x = Product::broadcast(&value);
#pragma GCC unroll 4
    for (int j = 0; j < together; ++j) {
#pragma GCC unroll 32
      for (int i = 0; i < chains; ++i) sum[i] = Product::add(x, w, sum[i]);
    }
  }
  using Stored = std::conditional_t<is_integer(Product::type), std::int32_t, float>;
  Stored last[simd::F32<Arch>::width];
  double total = 0.0;
  for (int i = 0; i < chains; ++i) {
    Product::store(last, sum[i]);
    total += static_cast<double>(last[0]);
  }
  // two operations a product: chains x lanes x products of a sum
  const index_t products = (steps + together - 1) / together * together * chains * simd::F32<Arch>::width;
  constexpr index_t of_a_sum = Product::step * Product::steps_together / static_cast<index_t>(size_of(Product::type));
  return total + 2.0 * static_cast<double>(products * of_a_sum);
}

// A multiplication a product, where ProductI16 has half of one.
template <class Arch>
struct PlainProductI16 : RowsAlone {
  using V = simd::I16<Arch>;
  using Sum = typename V::Sum;
  static constexpr DataType type = DataType::i16;
  static CLIPON_ALWAYS_INLINE auto load(const void* p) { return V::load(p); }
  static CLIPON_ALWAYS_INLINE auto broadcast(const void* p) { return V::broadcast(p); }
  static CLIPON_ALWAYS_INLINE Sum zero() { return V::set(0); }
  // All chains have the same operands here, and the same products would be computed once: an instruction that is none
  // tells the compiler that `a` may be another now.
  static CLIPON_ALWAYS_INLINE Sum add(typename V::Words& a, typename V::Words w, Sum sum) {
    V::forget(a);
    return V::dot(a, w, sum);
  }
  static CLIPON_ALWAYS_INLINE void store(void* p, Sum sum) { V::store_sum(p, sum); }
};

// The same on AMX's tiles, four of sums as tile_pair.hpp has.  The operands are made-up numbers: on zeros these
// processors clock higher than on anything that a model computes with.
template <class Arch, DataType type>
inline double peak_of_tiles(index_t steps) {
  using Tiles = simd::Tiles<Arch::has_amx>;
  alignas(64) std::uint32_t operand[simd::kTileRows * simd::kTileBytes / 4];
  std::uint32_t state = 1;
  for (std::uint32_t& bits : operand) {
    state = state * 1664525u + 1013904223u;  // Knuth's linear congruential generator
    bits = type == DataType::bf16 ? (state & 0x807f807fu) | 0x3f003f00u : state;  // bf16: 0.5 .. 1 and -1 .. -0.5
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(operand);
  Tiles tiles;
  tiles.configure(simd::kTileRows);
  tiles.template load<4>(bytes, simd::kTileBytes);
  tiles.template load<5>(bytes, simd::kTileBytes);
  tiles.template load<6>(bytes, simd::kTileBytes);
  tiles.template load<7>(bytes, simd::kTileBytes);
  tiles.template zero<0>();
  tiles.template zero<1>();
  tiles.template zero<2>();
  tiles.template zero<3>();
  for (index_t k = 0; k < steps; ++k) {
    add_tile<Tiles, type, 0>(tiles);
    add_tile<Tiles, type, 1>(tiles);
    add_tile<Tiles, type, 2>(tiles);
    add_tile<Tiles, type, 3>(tiles);
  }
  tiles.release();
  return 2.0 * static_cast<double>(steps * 4 * simd::kTileRows * 16 * 16 * k_step(type));
}

/// Runs `steps` steps of one tile, of what products of `type` are computed in, and returns the number of operations (2
/// a product).
template <class Arch>
inline double peak(DataType type, index_t steps) {
  if constexpr (Arch::has_amx) {
    if (type == DataType::bf16) return peak_of_tiles<Arch, DataType::bf16>(steps);
    if (type == DataType::i8) return peak_of_tiles<Arch, DataType::i8>(steps);
  }
  if constexpr (Arch::fast_bf16_dot) {
    if (type == DataType::bf16) return peak_of<Arch, ProductBf16<Arch>>(steps);
  }
  if (is_integer(type)) {
    if constexpr (Arch::has_byte_dot) return peak_of<Arch, ProductI8<Arch>>(steps);
    return peak_of<Arch, PlainProductI16<Arch>>(steps);
  }
  return peak_of<Arch, ProductF32<Arch>>(steps);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

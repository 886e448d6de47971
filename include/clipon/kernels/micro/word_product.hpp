// int8 products where no instruction multiplies bytes exactly: of 16-bit integers, two multiplications for four.
// Called by gemm.hpp, strassen.hpp, quantise.hpp and pack.hpp.  Per ISA.
//
// Winograd 1968, A New Algorithm for Inner Product: of four steps of k,
//   a0 w0 + a2 w2 = (a0 + w2) (a2 + w0) - a0 a2 - w0 w2,  and the same of a1, a3,
// and what is taken away belongs to the row or the column alone: its products with itself, summed once, are what its
// sums begin with.  Two additions stand for a multiplication and an addition, which more of a CPU's ports can do: on
// Zen 3 a tile of 4 x 16 reached 84 GMAC/s a core where VPMADDWD of widened bytes reached 63 to 77, f32
// multiply-adds 49.5.  Whole numbers, so every ISA's sums are the same.
#pragma once

#include "clipon/kernels/micro/gemm_tile_size.hpp"
#include "clipon/kernels/micro/product.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/word_dot.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// A row of n words, a multiple of 4, with itself: the sum of x0 x2 + x1 x3 over each four, modulo 2^32.
template <class Arch>
inline std::uint32_t row_self_product(const std::int16_t* x, index_t n) {
  using V = simd::I16<Arch>;
  std::uint32_t total = 0;
  index_t i = 0;
  if constexpr (Arch::vector_bits >= 128) {
    constexpr index_t lanes = simd::F32<Arch>::width;
    auto sum = V::set(0);
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      const auto words = V::load(x + i);
      sum = V::dot(words, V::swap_neighbours(words), sum);
    }
    std::uint32_t lane[lanes];
    V::store_sum(lane, sum);
    for (index_t l = 0; l < lanes; l += 2) total += lane[l];  // the next lane has the same
  }
  for (; i < n; i += 4) total += static_cast<std::uint32_t>(x[i] * x[i + 2] + x[i + 1] * x[i + 3]);
  return total;
}

/// One step of a tile, as product.hpp's, but of two steps of the panel: four elements of K.
template <class Arch>
struct ProductI16 : RowsAlone {
  using V = simd::I16<Arch>;
  using Sum = typename V::Sum;
  struct Register {
    typename V::Words first;
    typename V::Words last;
  };
  static constexpr DataType type = DataType::i16;
  static constexpr index_t steps_together = 2;
  static constexpr index_t panel_value = 4;
  static constexpr index_t row = gemm_columns<Arch> * 4;  // bytes of a step of the panel
  static CLIPON_ALWAYS_INLINE Register load(const void* p) {
    return {V::load(p), V::load(static_cast<const unsigned char*>(p) + row)};
  }
  static CLIPON_ALWAYS_INLINE Register broadcast(const void* p) {
    return {V::broadcast(p), V::broadcast(static_cast<const unsigned char*>(p) + 4)};
  }
  static CLIPON_ALWAYS_INLINE Sum start(std::uint32_t self_a, const std::uint32_t* self_w) {
    return V::set(0) - (V::set(self_a) + V::load_sum(self_w));
  }
  static CLIPON_ALWAYS_INLINE Sum add(const Register& a, const Register& w, Sum sum) {
    return V::dot(V::add(a.first, w.last), V::add(a.last, w.first), sum);
  }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return V::load_sum(p); }
  static CLIPON_ALWAYS_INLINE void store(void* p, Sum sum) { V::store_sum(p, sum); }
  static CLIPON_ALWAYS_INLINE Register subtract(const Register& x, const Register& y) {
    return {V::subtract(x.first, y.first), V::subtract(x.last, y.last)};
  }
  static CLIPON_ALWAYS_INLINE void store_panel(void* p, const Register& w) {
    V::store(p, w.first);
    V::store(static_cast<unsigned char*>(p) + row, w.last);
  }
};

/// The same of each column of a panel [steps][NR] of 32 bits, or of that minus another: out [NR].
template <class Arch>
inline void panel_self_products(const void* panel, index_t steps, std::uint32_t* out, const void* minus = nullptr) {
  using V = simd::I16<Arch>;
  using Product = ProductI16<Arch>;
  for (index_t c = 0; c < gemm_columns<Arch>; c += simd::F32<Arch>::width) {
    auto sum = V::set(0);
    for (index_t k = 0; k < steps; k += 2) {
      const index_t at = (k * gemm_columns<Arch> + c) * 4;
      auto w = Product::load(static_cast<const unsigned char*>(panel) + at);
      if (minus != nullptr) w = Product::subtract(w, Product::load(static_cast<const unsigned char*>(minus) + at));
      sum = V::dot(w.first, w.last, sum);
    }
    V::store_sum(out + c, sum);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// One step of a matrix product in each type: what a register of packed W and a broadcast value of A become.
// Called by gemm.hpp.  Per ISA.
//
// A step takes 32 bits of a row of A (in pairs 64): one float, two bf16 or four bytes.
//   f32   one fused multiply-add; W may be bf16, which is widened
//   bf16  VDPBF16PS; BFMMLA, in product_by_two_rows.hpp; without them f32
//   i8    VPDPBUSD (bytes of A unsigned, of W signed); SDOT, in product_by_lanes.hpp;
//         USMMLA, in product_by_two_rows.hpp; without them i16, in word_product.hpp
#pragma once

#include <cstring>

#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/micro/gemm_tile_size.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/byte_dot.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
CLIPON_ALWAYS_INLINE std::uint32_t load_32(const void* p) {
  std::uint32_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return bits;
}

/// Products that multiply each row of A for itself.
struct RowsAlone {
  static constexpr bool by_two_rows = false;
  static constexpr int registers = 1;           // of W, for a register of sums a row
  static constexpr index_t step = 4;            // bytes of a row
  static constexpr index_t steps_together = 1;  // that one add() takes
};

/// Stored: what a panel holds, float or bf16.
template <class Arch, class Stored = float>
struct ProductF32 : RowsAlone {
  using V = simd::F32<Arch>;
  using Sum = typename V::Batch;
  using Register = typename V::Batch;  // of W, and a broadcast value of A
  static constexpr DataType type = DataType::f32;
  static CLIPON_ALWAYS_INLINE Sum zero() { return V::set(0.0f); }
  static constexpr index_t panel_value = sizeof(Stored);  // bytes of a step of one column
  static CLIPON_ALWAYS_INLINE Register load(const void* p) {
    return Element<Arch, Stored>::load(static_cast<const Stored*>(p));
  }
  static CLIPON_ALWAYS_INLINE Register broadcast(const void* p) { return V::set(*static_cast<const float*>(p)); }
  static CLIPON_ALWAYS_INLINE Sum add(Register a, Register w, Sum sum) { return V::fma(a, w, sum); }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const float* p) { return V::load(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Sum sum) { V::store(p, sum); }
  // of a panel: one register of it minus another, and its way back to memory
  static CLIPON_ALWAYS_INLINE Register subtract(Register x, Register y) { return x - y; }
  static CLIPON_ALWAYS_INLINE void store_panel(void* p, Register w) { V::store(static_cast<float*>(p), w); }
};

template <class Arch, bool native = Arch::fast_bf16_dot>
struct ProductBf16 : RowsAlone {  // tiles multiply, and ask for no more than the type and the step
  static constexpr DataType type = DataType::bf16;
};

#if defined(__AVX512BF16__)
template <class Arch>
struct ProductBf16<Arch, true> : RowsAlone {
  using Sum = __m512;
  using Register = __m512i;
  static constexpr DataType type = DataType::bf16;
  static constexpr index_t panel_value = 4;
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm512_setzero_ps(); }
  static CLIPON_ALWAYS_INLINE Register load(const void* p) { return _mm512_loadu_si512(p); }
  static CLIPON_ALWAYS_INLINE Register broadcast(const void* p) {
    Register all = _mm512_set1_epi32(static_cast<int>(load_32<Arch>(p)));
#if defined(__clang__) && __clang_major__ == 16
    __asm__("" : "+v"(all));  // clang 16 crashes (VectorCombinePass) when it sees a broadcast become bf16
#endif
    return all;
  }
  static CLIPON_ALWAYS_INLINE Sum add(Register a, Register w, Sum sum) {
    return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(w));
  }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const float* p) {
    return _mm512_loadu_ps(p);
  }
  static CLIPON_ALWAYS_INLINE void store(float* p, Sum sum) {
    _mm512_storeu_ps(p, sum);
  }
};
#endif

// How A comes to an instruction that multiplies bytes.
enum class ByteProduct : std::uint8_t { broadcast, by_lanes, by_two_rows };
template <class Arch>
constexpr ByteProduct byte_product = Arch::has_mmla   ? ByteProduct::by_two_rows
                                     : Arch::has_sdot ? ByteProduct::by_lanes
                                                      : ByteProduct::broadcast;

// Sums of four byte products in the lanes of simd/byte_dot.hpp's I32.
template <class Arch, ByteProduct = byte_product<Arch>>
struct ProductI8 : RowsAlone {
  using V = simd::I32<Arch>;
  using Sum = typename V::Sum;
  using Register = typename V::Bytes;
  static constexpr DataType type = DataType::i8;
  static constexpr index_t panel_value = 4;
  static CLIPON_ALWAYS_INLINE Sum zero() { return V::zero(); }
  static CLIPON_ALWAYS_INLINE auto load(const void* p) { return V::load_signed(p); }
  static CLIPON_ALWAYS_INLINE auto broadcast(const void* p) { return V::broadcast_unsigned(load_32<Arch>(p)); }
  static CLIPON_ALWAYS_INLINE Sum add(const Register& a, const Register& w, Sum sum) { return V::dot(a, w, sum); }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) { V::store(p, sum); }
};

}  // namespace clipon::inline CLIPON_ABI::kernels

// I32<Arch>: a register of 32-bit sums, to which VPDPBUSD adds four products of an unsigned and a signed byte a lane.
// Layer 1; per ISA, of those that have it.  AArch64's are in kernels/micro/product_by_lanes.hpp and
// product_by_two_rows.hpp, word_dot.hpp is what the others do.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits>
struct I32;

#if defined(__AVXVNNI__)
template <class Arch>
struct I32<Arch, 256> {
  using Sum = __m256i;
  using Bytes = __m256i;
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm256_setzero_si256(); }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return _mm256_set1_epi32(static_cast<int>(b));
  }
  static CLIPON_ALWAYS_INLINE Sum dot(Bytes a, Bytes w, Sum sum) { return _mm256_dpbusd_avx_epi32(sum, a, w); }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sum);
  }
};
#endif

#if defined(__AVX512VNNI__)
template <class Arch>
struct I32<Arch, 512> {
  using Sum = __v16si;  // not __m512i: g++ 12 keeps sums of that type on the stack, at half the speed
  using Bytes = __m512i;
  static CLIPON_ALWAYS_INLINE Sum zero() { return Sum{}; }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) { return _mm512_loadu_si512(p); }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return _mm512_set1_epi32(static_cast<int>(b));
  }
  static CLIPON_ALWAYS_INLINE Sum dot(Bytes a, Bytes w, Sum sum) {
    return reinterpret_cast<Sum>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), a, w));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(sum));
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

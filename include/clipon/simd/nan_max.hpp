// The greater of two floats, lane by lane, and of NaN the second operand, whatever the compiler assumes.  Layer 1;
// F32's max and min where kFiniteMathOnly.
//
// ReLU and limits of exponents keep a NaN since MAXPS gives its second operand then.  -ffinite-math-only, of
// -ffast-math, lets a compiler swap the two, and take its word for it that there is no NaN: so here the instruction
// itself is written.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::simd {

constexpr bool kFiniteMathOnly = __FINITE_MATH_ONLY__ != 0;

CLIPON_ALWAYS_INLINE float nan_max(float a, float b) {
  return is_nan(b) || b > a ? b : a;
}

#if defined(__AVX__)
CLIPON_ALWAYS_INLINE __m128 nan_max(__m128 a, __m128 b) {
  __asm__("vmaxps {%2, %1, %0|%0, %1, %2}" : "=x"(a) : "x"(a), "x"(b));
  return a;
}
CLIPON_ALWAYS_INLINE __m256 nan_max(__m256 a, __m256 b) {
  __asm__("vmaxps {%2, %1, %0|%0, %1, %2}" : "=x"(a) : "x"(a), "x"(b));
  return a;
}
#elif defined(__SSE2__)
CLIPON_ALWAYS_INLINE __m128 nan_max(__m128 a, __m128 b) {
  __asm__("maxps {%1, %0|%0, %1}" : "+x"(a) : "x"(b));
  return a;
}
#endif
#if defined(__AVX512F__)
CLIPON_ALWAYS_INLINE __m512 nan_max(__m512 a, __m512 b) {
  __asm__("vmaxps {%2, %1, %0|%0, %1, %2}" : "=v"(a) : "v"(a), "v"(b));
  return a;
}
#endif

/// The lesser, likewise.
template <class Register>
CLIPON_ALWAYS_INLINE Register nan_min(Register a, Register b) {
  return -nan_max(-a, -b);
}

}  // namespace clipon::inline CLIPON_ABI::simd

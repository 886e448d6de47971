// Exponentials of a register of floats.  Layer 1; only kernels/micro/ includes it.
// xsimd's exp is too large to be inlined always, and a function that the compiler keeps would be shared by units of
// different ISAs.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

constexpr float kLog2E = 1.44269504f;  // e^x = 2^(kLog2E x)

/// c0 x^n + c1 x^(n-1) + ... + cn, by Horner's scheme.
template <class Arch, class... Rest>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch polynomial(typename F32<Arch>::Batch x, float first, Rest... rest) {
  using V = F32<Arch>;
  auto p = V::set(first);
  ((p = V::fma(p, x, V::set(rest))), ...);
  return p;
}

// x within low..high, and NaN where x is one: min and max take their second operand then.
template <class Arch>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch clamped(typename F32<Arch>::Batch x, float low, float high) {
  using V = F32<Arch>;
  return V::max(V::set(low), V::min(V::set(high), x));
}

/// e^x within 2 ulp for x in [-87, 88]; smaller x give e^-87 (1.6e-38), larger ones e^88.  NaN of NaN, as below.
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor series to r^7, whose next term is below 2^-26.
template <class Arch>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch exp(typename F32<Arch>::Batch x) {
  using V = F32<Arch>;
  x = clamped<Arch>(x, -87.0f, 88.0f);
  const auto n = V::round(x * V::set(kLog2E));
  auto r = V::fma(n, V::set(-0.693359375f), x);  // ln 2 in two parts: the first has 9 bits, so n times it is exact
  r = V::fma(n, V::set(2.12194440e-4f), r);
  const auto p = polynomial<Arch>(r, 1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f);
  return V::scale(p, n);
}

// 2^x = 2^n 2^r: x = n + r with |r| <= 1/2, and 2^r by the polynomial with these coefficients.
template <class Arch, class... Coefficients>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch exp2_by(typename F32<Arch>::Batch x, Coefficients... coefficients) {
  using V = F32<Arch>;
  const auto n = V::round(x);
  return V::scale(polynomial<Arch>(x - n, coefficients...), n);
}

/// 2^x, relative error below 2^-22, for x in [-126, 126]; x beyond gives the end's value.
/// The polynomial of degree 5 that has the least greatest relative error.
template <class Arch>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch exp2(typename F32<Arch>::Batch x) {
  x = clamped<Arch>(x, -126.0f, 126.0f);
  return exp2_by<Arch>(x, 0.00132764726f, 0.00967554134f, 0.0555071327f, 0.240221197f, 0.693146967f, 1.00000007f);
}

/// 2^x, relative error below 2^-13, for results that are rounded to bf16, whose own error is 2^-8.  The same with a
/// polynomial of degree 3.
template <class Arch>
CLIPON_ALWAYS_INLINE typename F32<Arch>::Batch exp2_for_bf16(typename F32<Arch>::Batch x) {
  if constexpr (Arch::vector_bits < 512) x = clamped<Arch>(x, -126.0f, 126.0f);  // VSCALEF takes any
  return exp2_by<Arch>(x, 0.0551716685f, 0.242611125f, 0.693260968f, 0.999928057f);
}

}  // namespace clipon::inline CLIPON_ABI::simd

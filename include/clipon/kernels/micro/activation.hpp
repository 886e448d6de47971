// Activation functions on a register.  Used by the GEMM's epilogue.  Per ISA.  T: what the result is stored as; where
// that is bf16, shorter approximations do.
#pragma once

#include <type_traits>

#include "clipon/kernels/types.hpp"
#include "clipon/simd/exp.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// x sigmoid(slope u) = x / (1 + e^(-slope u))
template <class Arch, class T>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch times_sigmoid(typename simd::F32<Arch>::Batch x,
                                                                   typename simd::F32<Arch>::Batch u, float slope) {
  using V = simd::F32<Arch>;
  const auto exponent = u * V::set(-slope * simd::kLog2E);
  if constexpr (std::is_same_v<T, float>) {
    return V::quotient(x, V::set(1.0f) + simd::exp2<Arch>(exponent));
  } else {
    return x * V::about_inverse(V::set(1.0f) + simd::exp2_for_bf16<Arch>(exponent));
  }
}

// x Phi(x), Phi(x) = erfc(-x / sqrt 2) / 2.  With t = 1 / (1 + z / 2), z = |x| / sqrt 2:
// erfc(z) = t exp(-z^2 + P(t)), W. H. Press et al., Numerical Recipes in C, 2nd ed., 6.2 (erfcc): relative error below
// 1.2e-7 everywhere.
template <class Arch>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch gelu(typename simd::F32<Arch>::Batch x) {
  using V = simd::F32<Arch>;
  const auto magnitude = V::max(x, V::set(0.0f) - x);
  const auto z = magnitude * V::set(0.70710678f);
  const auto t = V::quotient(V::set(1.0f), V::fma(z, V::set(0.5f), V::set(1.0f)));
  const auto p = simd::polynomial<Arch>(t, 0.17087277f, -0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f,
                                        -0.18628806f, 0.09678418f, 0.37409196f, 1.00002368f, -1.26551223f);
  const auto half_tail = V::set(0.5f) * t * simd::exp<Arch>(p - z * z);  // Phi(-|x|)
  // x Phi(x) = max(x, 0) - |x| Phi(-|x|) for either sign
  return V::max(x, V::set(0.0f)) - magnitude * half_tail;
}

// 0.5 x (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
template <class Arch, class T>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch gelu_tanh(typename simd::F32<Arch>::Batch x) {
  using V = simd::F32<Arch>;
  const auto inner = V::fma(x * x * x, V::set(0.044715f), x);
  return times_sigmoid<Arch, T>(x, inner, 1.59576912f);
}

template <class Arch, Activation activation, class T>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch activate(typename simd::F32<Arch>::Batch x) {
  using V = simd::F32<Arch>;
  if constexpr (activation == Activation::quick_gelu) return times_sigmoid<Arch, T>(x, x, 1.702f);
  if constexpr (activation == Activation::gelu) return gelu<Arch>(x);
  if constexpr (activation == Activation::gelu_tanh) return gelu_tanh<Arch, T>(x);
  if constexpr (activation == Activation::relu) return V::max(V::set(0.0f), x);  // of NaN, NaN: its second operand
  return x;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

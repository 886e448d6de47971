// Floats stored as bf16: a part of a register, or two registers.  Layer 1; per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

/// The first n lanes as bf16.
template <class Arch>
CLIPON_ALWAYS_INLINE void store_bf16_part(std::uint16_t* p, typename F32<Arch>::Batch v, index_t n) {
  std::uint16_t lane[F32<Arch>::width];
  F32<Arch>::store_bf16(lane, v);
  for (index_t i = 0; i < F32<Arch>::width; ++i) {
    if (i < n) p[i] = lane[i];
  }
}

/// All lanes of `low`, and behind them those of `high`.
template <class Arch>
CLIPON_ALWAYS_INLINE void store_bf16_two(std::uint16_t* p, typename F32<Arch>::Batch low,
                                         typename F32<Arch>::Batch high) {
#if defined(__AVX512BF16__)
  if constexpr (Arch::has_bf16) {  // four micro-operations and a whole line where one by one takes six and two halves
    return _mm512_storeu_si512(p, std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
#elif defined(CLIPON_COMPILED_MMLA)
  if constexpr (Arch::has_bf16) {
    return vst1q_u16(p, std::bit_cast<uint16x8_t>(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(low), high)));
  }
#endif
  F32<Arch>::store_bf16(p, low);
  F32<Arch>::store_bf16(p + F32<Arch>::width, high);
}

}  // namespace clipon::inline CLIPON_ABI::simd

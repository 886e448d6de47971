// RangeOf<Arch>: the least and the greatest of 0 and many values, looked at a register at a time; one object takes
// floats or bf16, not both.  Layer 1; used where activations and weights become bytes.  Per ISA.
//
// As integers, floats that are not negative keep their order, and negative ones, read as unsigned, stand above all of
// them by magnitude.  So the greatest signed integer is the greatest value, the greatest unsigned one the least value,
// and NaN or infinity lies beyond every finite value of its sign: two instructions a register tell all three.  bf16
// has the same order in 16 bits.
#pragma once

#include <bit>

#include "clipon/core/floating_point.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

struct ValueRange {
  float least = 0.0f;     // of 0 and the values
  float greatest = 0.0f;  // of 0 and the values
  bool finite = true;     // no value is NaN or infinite
};

template <class Arch, int bits = Arch::vector_bits>
struct RangeOf {  // by floats: the integers of these ISAs have no maximum
  using V = F32<Arch>;
  static constexpr index_t bf16_width = V::width;  // values that add_bf16 takes
  typename V::Batch least = V::set(0.0f);
  typename V::Batch greatest = V::set(0.0f);
  typename V::Batch not_finite = V::set(0.0f);  // becomes NaN when any value is NaN or infinite
  // Told that there is no NaN, a compiler would take x * 0 for 0.
  typename V::Batch zero = kFiniteMathOnly ? computed(V::set(0.0f)) : V::set(0.0f);
  CLIPON_ALWAYS_INLINE void add(typename V::Batch x) {
    least = V::min(least, x);
    greatest = V::max(greatest, x);
    not_finite = V::fma(x, zero, not_finite);
  }
  CLIPON_ALWAYS_INLINE void add_bf16(const std::uint16_t* bf16) { add(V::from_bf16(bf16)); }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_floats() const {
    const auto bad = std::bit_cast<std::uint32_t>(V::sum(not_finite));
    return {-V::greatest(V::set(0.0f) - least), V::greatest(greatest), (bad & 0x7fffffffu) == 0};
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_bf16() const { return of_floats(); }
};

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
template <class Arch>
CLIPON_ALWAYS_INLINE ValueRange range_from_bits(std::uint32_t greatest_signed, std::uint32_t greatest_unsigned) {
  const std::uint32_t least = greatest_unsigned >> 31 != 0 ? greatest_unsigned : 0;  // none is negative: 0
  constexpr std::uint32_t infinity = 0x7f800000u;
  const bool finite = greatest_signed < infinity && (least & 0x7fffffffu) < infinity;
  return {std::bit_cast<float>(least), std::bit_cast<float>(greatest_signed), finite};
}

template <class Arch>
struct RangeOf<Arch, 256> {
  static constexpr index_t bf16_width = 16;
  __m256i as_signed = _mm256_setzero_si256();    // the greatest, in each lane, of 32 bits or 16
  __m256i as_unsigned = _mm256_setzero_si256();  // the same, of unsigned lanes
  CLIPON_ALWAYS_INLINE void add(__m256 x) {
    as_signed = _mm256_max_epi32(as_signed, _mm256_castps_si256(x));
    as_unsigned = _mm256_max_epu32(as_unsigned, _mm256_castps_si256(x));
  }
  CLIPON_ALWAYS_INLINE void add_bf16(const std::uint16_t* bf16) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bf16));
    as_signed = _mm256_max_epi16(as_signed, x);
    as_unsigned = _mm256_max_epu16(as_unsigned, x);
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_floats() const {
    __m128i s = _mm_max_epi32(_mm256_castsi256_si128(as_signed), _mm256_extracti128_si256(as_signed, 1));
    __m128i u = _mm_max_epu32(_mm256_castsi256_si128(as_unsigned), _mm256_extracti128_si256(as_unsigned, 1));
    s = _mm_max_epi32(s, _mm_shuffle_epi32(s, 0x4e));  // two lanes beside two
    u = _mm_max_epu32(u, _mm_shuffle_epi32(u, 0x4e));
    s = _mm_max_epi32(s, _mm_shuffle_epi32(s, 0xb1));  // one beside one
    u = _mm_max_epu32(u, _mm_shuffle_epi32(u, 0xb1));
    return range_from_bits<Arch>(static_cast<std::uint32_t>(_mm_cvtsi128_si32(s)),
                                 static_cast<std::uint32_t>(_mm_cvtsi128_si32(u)));
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_bf16() const {
    const __m128i s = _mm_max_epi16(_mm256_castsi256_si128(as_signed), _mm256_extracti128_si256(as_signed, 1));
    const __m128i u = _mm_max_epu16(_mm256_castsi256_si128(as_unsigned), _mm256_extracti128_si256(as_unsigned, 1));
    // VPHMINPOSUW finds the least of eight unsigned lanes; with these bits turned over the greatest is the least
    const __m128i s_least = _mm_minpos_epu16(_mm_xor_si128(s, _mm_set1_epi16(0x7fff)));
    const __m128i u_least = _mm_minpos_epu16(_mm_xor_si128(u, _mm_set1_epi16(-1)));
    const auto upper = [](__m128i least, std::uint32_t turned) {
      return (static_cast<std::uint32_t>(_mm_extract_epi16(least, 0)) ^ turned) << 16;
    };
    return range_from_bits<Arch>(upper(s_least, 0x7fff), upper(u_least, 0xffff));
  }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
template <class Arch>
struct RangeOf<Arch, 512> {
  static constexpr index_t bf16_width = 32;
  __m512i as_signed = _mm512_setzero_si512();
  __m512i as_unsigned = _mm512_setzero_si512();
  CLIPON_ALWAYS_INLINE void add(__m512 x) {
    as_signed = _mm512_maskz_max_epi32(F32<Arch>::kAll, as_signed, _mm512_castps_si512(x));
    as_unsigned = _mm512_maskz_max_epu32(F32<Arch>::kAll, as_unsigned, _mm512_castps_si512(x));
  }
  CLIPON_ALWAYS_INLINE void add_bf16(const std::uint16_t* bf16) {
    const __m512i x = _mm512_loadu_si512(bf16);
    as_signed = _mm512_max_epi16(as_signed, x);
    as_unsigned = _mm512_max_epu16(as_unsigned, x);
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_floats() const {
    return RangeOf<Arch, 256>{_mm256_max_epi32(half<0>(as_signed), half<1>(as_signed)),
                              _mm256_max_epu32(half<0>(as_unsigned), half<1>(as_unsigned))}
        .of_floats();
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE ValueRange of_bf16() const {
    return RangeOf<Arch, 256>{_mm256_max_epi16(half<0>(as_signed), half<1>(as_signed)),
                              _mm256_max_epu16(half<0>(as_unsigned), half<1>(as_unsigned))}
        .of_bf16();
  }

 private:
  template <int i>
  static CLIPON_ALWAYS_INLINE __m256i half(__m512i v) {
    return _mm512_maskz_extracti32x8_epi32(0xff, v, i);  // with a mask for the reason in vector.hpp
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

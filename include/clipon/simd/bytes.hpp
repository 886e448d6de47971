// Bytes<Arch>: registers of floats or integers become bytes, or the same in 16 bits each.  Layer 1; used by
// kernels/micro/quantise.hpp, pack.hpp and resize_pass.hpp.  Per ISA.
//
// Each float is rounded to the nearest integer, halves to even; below 0 it becomes 0, above 255, and up to 2^31, it
// becomes 255. Integers are within 16 bits. Several registers together fill one of bytes: two saturating packs and a
// permutation, instead of one narrow store a register.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits>
struct Bytes {  // portable
  using V = F32<Arch>;
  static constexpr int registers = 1;  // that store_all takes
  static CLIPON_ALWAYS_INLINE void store(std::uint8_t* p, float v) {
    *p = static_cast<std::uint8_t>(std::nearbyintf(V::min(V::max(v, 0.0f), 255.0f)));
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const float (&v)[1]) { store(p, v[0]); }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const std::int32_t (&v)[1]) {
    *p = static_cast<std::uint8_t>(v[0] < 0 ? 0 : v[0] > 255 ? 255 : v[0]);
  }
  static CLIPON_ALWAYS_INLINE void store_words(std::int16_t* p, float v) {
    std::uint8_t byte;
    store(&byte, v);
    *p = byte;
  }
};

#if defined(__SSE2__)
template <class Arch>
struct Bytes<Arch, 128> {
  static constexpr int registers = 4;
  using Batch = typename F32<Arch>::Batch;
  static CLIPON_ALWAYS_INLINE void store(std::uint8_t* p, Batch v) {
    const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(v), _mm_setzero_si128());
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(p, &bytes, 4);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const Batch (&v)[registers]) {
    const __m128i whole[] = {_mm_cvtps_epi32(v[0]), _mm_cvtps_epi32(v[1]), _mm_cvtps_epi32(v[2]),
                             _mm_cvtps_epi32(v[3])};
    store_all(p, whole);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const __m128i (&v)[registers]) {
    const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(v[0], v[1]), _mm_packs_epi32(v[2], v[3]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }
  static CLIPON_ALWAYS_INLINE void store_words(std::int16_t* p, Batch v) {
    const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(v), _mm_setzero_si128());
    const __m128i bytes = _mm_min_epi16(_mm_max_epi16(words, _mm_setzero_si128()), _mm_set1_epi16(255));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
  }
};
#endif

#if defined(__aarch64__)
template <class Arch>
struct Bytes<Arch, 128> {
  static constexpr int registers = 4;
  using Batch = typename F32<Arch>::Batch;
  static CLIPON_ALWAYS_INLINE void store(std::uint8_t* p, Batch v) {
    const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(v));
    const std::uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vqmovun_s16(vcombine_s16(words, words))), 0);
    __builtin_memcpy(p, &bytes, 4);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const Batch (&v)[registers]) {
    const int32x4_t whole[] = {vcvtnq_s32_f32(v[0]), vcvtnq_s32_f32(v[1]), vcvtnq_s32_f32(v[2]), vcvtnq_s32_f32(v[3])};
    store_all(p, whole);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const int32x4_t (&v)[registers]) {
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);
    vst1q_u8(p, vqmovun_high_s16(vqmovun_s16(low), high));
  }
  static CLIPON_ALWAYS_INLINE void store_words(std::int16_t* p, Batch v) {
    const int32x4_t bytes = vminq_s32(vmaxq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(0)), vdupq_n_s32(255));
    vst1_s16(p, vmovn_s32(bytes));
  }
};
#endif

// The packs work within 128 bits: four bytes of each of the four registers lie in each, in the order of the registers.
#if defined(__AVX2__)
template <class Arch>
struct Bytes<Arch, 256> {
  static constexpr int registers = 4;
  using Batch = typename F32<Arch>::Batch;
  static CLIPON_ALWAYS_INLINE void store(std::uint8_t* p, Batch v) {
    const __m256i whole = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const Batch (&v)[registers]) {
    const __m256i whole[] = {_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1]), _mm256_cvtps_epi32(v[2]),
                             _mm256_cvtps_epi32(v[3])};
    store_all(p, whole);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const __m256i (&v)[registers]) {
    const __m256i low = _mm256_packs_epi32(v[0], v[1]);
    const __m256i high = _mm256_packs_epi32(v[2], v[3]);
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), in_order));
  }
  static CLIPON_ALWAYS_INLINE void store_words(std::int16_t* p, Batch v) {
    const __m256i whole = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    const __m128i bytes = _mm_min_epi16(_mm_max_epi16(words, _mm_setzero_si128()), _mm_set1_epi16(255));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__)
template <class Arch>
struct Bytes<Arch, 512> {
  static constexpr int registers = 4;
  static constexpr __mmask16 kAll = F32<Arch>::kAll;
  using Batch = typename F32<Arch>::Batch;
  static CLIPON_ALWAYS_INLINE __m512i integers(Batch v) { return _mm512_maskz_cvtps_epi32(kAll, v); }
  static CLIPON_ALWAYS_INLINE void store(std::uint8_t* p, Batch v) {
    const __m512i positive = _mm512_maskz_max_epi32(kAll, integers(v), _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtusepi32_epi8(kAll, positive));
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const Batch (&v)[registers]) {
    const __m512i whole[] = {integers(v[0]), integers(v[1]), integers(v[2]), integers(v[3])};
    store_all(p, whole);
  }
  static CLIPON_ALWAYS_INLINE void store_all(std::uint8_t* p, const __m512i (&v)[registers]) {
    const __m512i low = _mm512_packs_epi32(v[0], v[1]);
    const __m512i high = _mm512_packs_epi32(v[2], v[3]);
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_maskz_permutexvar_epi32(kAll, in_order, _mm512_packus_epi16(low, high)));
  }
  static CLIPON_ALWAYS_INLINE void store_words(std::int16_t* p, Batch v) {
    const __m512i positive = _mm512_maskz_max_epi32(kAll, integers(v), _mm512_setzero_si512());
    const __m512i bytes = _mm512_maskz_min_epi32(kAll, positive, _mm512_set1_epi32(255));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_cvtepi32_epi16(kAll, bytes));
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

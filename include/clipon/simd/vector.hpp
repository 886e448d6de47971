// F32<Arch>: a register of floats of one instruction set, and what kernels do with it.  Layer 1; only kernels/micro/
// and the per-ISA units include it.
//
// The register is an xsimd batch; xsimd's operators are used as they are.  Ours are: fused multiply-add (xsimd 8.1's is
// a generic x * y + z on these architectures), masked loads and stores (it has none); exp.hpp has exponentials.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>

#include <xsimd/xsimd.hpp>
#endif
#include <bit>
#include <cmath>

#include "clipon/core/types.hpp"
#include "clipon/simd/arch.hpp"
#include "clipon/simd/nan_max.hpp"
#include "clipon/simd/vector_neon.hpp"
#include "clipon/simd/vector_part.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits>
struct F32;  // vector_neon.hpp has that of AArch64

template <class Arch>
struct F32<Arch, 32> {  // portable: a vector of one
  using Batch = float;
  static constexpr index_t width = 1;
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return *p; }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch v) { *p = v; }
  static CLIPON_ALWAYS_INLINE Batch load_part(const float* p, index_t n) { return n > 0 ? *p : 0.0f; }
  // lanes from n on are `other`
  static CLIPON_ALWAYS_INLINE Batch load_part_or(const float* p, index_t n, float other) { return n > 0 ? *p : other; }
  static CLIPON_ALWAYS_INLINE void store_part(float* p, Batch v, index_t n) {
    if (n > 0) *p = v;
  }
  static CLIPON_ALWAYS_INLINE Batch keep(Batch v, index_t n) { return n > 0 ? v : 0.0f; }  // the first n lanes, else 0
  static CLIPON_ALWAYS_INLINE void forget(Batch&) {}  // where v came from: it is not read from memory again
  static CLIPON_ALWAYS_INLINE Batch set(float x) { return x; }
  static CLIPON_ALWAYS_INLINE Batch fma(Batch a, Batch b, Batch c) { return a * b + c; }
  static CLIPON_ALWAYS_INLINE Batch fnma(Batch a, Batch b, Batch c) { return c - a * b; }
  // of NaN the second operand, in all of these
  static CLIPON_ALWAYS_INLINE Batch max(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_max(a, b);
    return a > b ? a : b;
  }
  static CLIPON_ALWAYS_INLINE Batch min(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_min(a, b);
    return a < b ? a : b;
  }
  // x in the lanes where a > b, else y
  static CLIPON_ALWAYS_INLINE Batch where_greater(Batch a, Batch b, Batch x, Batch y) { return a > b ? x : y; }
  static CLIPON_ALWAYS_INLINE float sum(Batch v) { return v; }
  // lane i: the sum of v[i]
  static CLIPON_ALWAYS_INLINE Batch sums(const Batch (&v)[1]) { return v[0]; }
  static CLIPON_ALWAYS_INLINE float greatest(Batch v) { return v; }
  /// x / y within 2 ulp, for y of 1 .. 2^126.
  static CLIPON_ALWAYS_INLINE Batch quotient(Batch x, Batch y) { return x / y; }
  static CLIPON_ALWAYS_INLINE Batch about_inverse(Batch x) { return 1.0f / x; }
  static CLIPON_ALWAYS_INLINE Batch round(Batch v) { return std::nearbyintf(v); }
  // v * 2^n for a whole n in -126..127; NaN where both are
  static CLIPON_ALWAYS_INLINE Batch scale(Batch v, Batch n) {
    const std::int32_t exponent = is_nan(n) ? 0 : static_cast<std::int32_t>(n);  // that of NaN is undefined
    return v * std::bit_cast<float>((exponent + 127) << 23);
  }
  static CLIPON_ALWAYS_INLINE Batch from_f16(const std::uint16_t* p) { return f16_to_float(*p); }
  static CLIPON_ALWAYS_INLINE Batch from_bf16(const std::uint16_t* p) { return bf16_to_float(*p); }
  static CLIPON_ALWAYS_INLINE Batch from_i8(const std::int8_t* p) { return static_cast<float>(*p); }
  static CLIPON_ALWAYS_INLINE Batch from_i32(const std::int32_t* p) { return static_cast<float>(*p); }
  static CLIPON_ALWAYS_INLINE Batch from_u8(const std::uint8_t* p) { return static_cast<float>(*p); }
  // each 32 bits: a bf16 of `low`, above it one of `high`
  static CLIPON_ALWAYS_INLINE void store_pairs(std::uint32_t* p, const std::uint16_t* low, const std::uint16_t* high) {
    *p = std::uint32_t{*low} | std::uint32_t{*high} << 16;
  }
  static CLIPON_ALWAYS_INLINE void store_bf16(std::uint16_t* p, Batch v) { *p = float_to_bf16(v); }
};

#if defined(__SSE2__)
template <class Arch>
struct F32<Arch, 128> : PartThroughMemory<Arch, xsimd::batch<float, xsimd::sse2>> {
  using Batch = xsimd::batch<float, xsimd::sse2>;
  static constexpr index_t width = 4;
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return _mm_loadu_ps(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch v) { _mm_storeu_ps(p, v); }
  static CLIPON_ALWAYS_INLINE void forget(Batch& v) { __asm__("" : "+x"(v.data)); }
  static CLIPON_ALWAYS_INLINE Batch set(float x) { return _mm_set1_ps(x); }
  static CLIPON_ALWAYS_INLINE Batch fma(Batch a, Batch b, Batch c) { return a * b + c; }  // SSE2 has none
  static CLIPON_ALWAYS_INLINE Batch fnma(Batch a, Batch b, Batch c) { return c - a * b; }
  static CLIPON_ALWAYS_INLINE Batch max(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_max(a.data, b.data);
    return _mm_max_ps(a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch min(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_min(a.data, b.data);
    return _mm_min_ps(a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch where_greater(Batch a, Batch b, Batch x, Batch y) {
    const __m128 chosen = _mm_cmpgt_ps(a, b);
    return _mm_or_ps(_mm_and_ps(chosen, x), _mm_andnot_ps(chosen, y));
  }
  static CLIPON_ALWAYS_INLINE float sum(Batch v) {
    const __m128 pair = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
  }
  static CLIPON_ALWAYS_INLINE Batch sums(const Batch (&v)[4]) {
    // a0 + a2, b0 + b2, a1 + a3, b1 + b3
    const __m128 ab = _mm_add_ps(_mm_unpacklo_ps(v[0], v[1]), _mm_unpackhi_ps(v[0], v[1]));
    const __m128 cd = _mm_add_ps(_mm_unpacklo_ps(v[2], v[3]), _mm_unpackhi_ps(v[2], v[3]));
    return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
  }
  static CLIPON_ALWAYS_INLINE float greatest(Batch v) {
    const __m128 pair = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
  }
  static CLIPON_ALWAYS_INLINE Batch quotient(Batch x, Batch y) { return x / y; }
  static CLIPON_ALWAYS_INLINE Batch about_inverse(Batch x) { return 1.0f / x; }
  static CLIPON_ALWAYS_INLINE Batch round(Batch v) { return _mm_cvtepi32_ps(_mm_cvtps_epi32(v)); }
  static CLIPON_ALWAYS_INLINE Batch scale(Batch v, Batch n) {
    return v * Batch(_mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127)), 23)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_f16(const std::uint16_t* p) {
    return _mm_setr_ps(f16_to_float(p[0]), f16_to_float(p[1]), f16_to_float(p[2]), f16_to_float(p[3]));
  }
  static CLIPON_ALWAYS_INLINE Batch from_bf16(const std::uint16_t* p) {
    return _mm_castsi128_ps(
        _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i8(const std::int8_t* p) {
    return _mm_setr_ps(static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
                       static_cast<float>(p[3]));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i32(const std::int32_t* p) {
    return _mm_cvtepi32_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_u8(const std::uint8_t* p) {
    return _mm_setr_ps(static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
                       static_cast<float>(p[3]));
  }
  static CLIPON_ALWAYS_INLINE void store_pairs(std::uint32_t* p, const std::uint16_t* low, const std::uint16_t* high) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(low));
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_unpacklo_epi16(a, b));
  }
  static CLIPON_ALWAYS_INLINE void store_bf16(std::uint16_t* p, Batch v) {
    const __m128i bits = _mm_castps_si128(v);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(0x7fff)));
    // NaN, which rounding could carry past its exponent; by its bits, as compilers may be told that there is none
    const __m128i nan = _mm_cmpgt_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7fffffff)), _mm_set1_epi32(0x7f800000));
    const __m128i quiet = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
    const __m128i kept = _mm_or_si128(_mm_and_si128(nan, quiet), _mm_andnot_si128(nan, rounded));
    const __m128i upper = _mm_srai_epi32(kept, 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(upper, upper));
  }
};
#endif

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
template <class Arch>
struct F32<Arch, 256> {
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  using Integers = __m256i;  // of 32 bits
  static constexpr index_t width = 8;
  static CLIPON_ALWAYS_INLINE __m256i first(index_t n) {  // lanes 0..n-1
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return _mm256_loadu_ps(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch v) { _mm256_storeu_ps(p, v); }
  static CLIPON_ALWAYS_INLINE Batch load_part(const float* p, index_t n) { return _mm256_maskload_ps(p, first(n)); }
  static CLIPON_ALWAYS_INLINE Batch load_part_or(const float* p, index_t n, float other) {
    return _mm256_blendv_ps(_mm256_set1_ps(other), _mm256_maskload_ps(p, first(n)), _mm256_castsi256_ps(first(n)));
  }
  static CLIPON_ALWAYS_INLINE void store_part(float* p, Batch v, index_t n) { _mm256_maskstore_ps(p, first(n), v); }
  static CLIPON_ALWAYS_INLINE Batch keep(Batch v, index_t n) { return _mm256_and_ps(v, _mm256_castsi256_ps(first(n))); }
  static CLIPON_ALWAYS_INLINE void forget(Batch& v) { __asm__("" : "+x"(v.data)); }
  static CLIPON_ALWAYS_INLINE Batch set(float x) { return _mm256_set1_ps(x); }
  static CLIPON_ALWAYS_INLINE Batch fma(Batch a, Batch b, Batch c) { return _mm256_fmadd_ps(a, b, c); }
  static CLIPON_ALWAYS_INLINE Batch fnma(Batch a, Batch b, Batch c) { return _mm256_fnmadd_ps(a, b, c); }
  static CLIPON_ALWAYS_INLINE Batch max(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_max(a.data, b.data);
    return _mm256_max_ps(a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch min(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_min(a.data, b.data);
    return _mm256_min_ps(a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch where_greater(Batch a, Batch b, Batch x, Batch y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
  }
  static CLIPON_ALWAYS_INLINE float sum(Batch v) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
  }
  static CLIPON_ALWAYS_INLINE Batch sums(const Batch (&v)[8]) {
    const auto quarter = [](__m256 a, __m256 b, __m256 c, __m256 d) __attribute__((always_inline)) {
      // in each half: a0 + a2, b0 + b2, a1 + a3, b1 + b3; then the sums of a, b, c, d there
      const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
      const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
      return _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    };
    const __m256 low = quarter(v[0], v[1], v[2], v[3]);
    const __m256 high = quarter(v[4], v[5], v[6], v[7]);
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
  }
  static CLIPON_ALWAYS_INLINE float greatest(Batch v) {
    const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
  }
  static CLIPON_ALWAYS_INLINE Batch quotient(Batch x, Batch y) { return x / y; }
  static CLIPON_ALWAYS_INLINE Batch about_inverse(Batch x) { return 1.0f / x; }
  static CLIPON_ALWAYS_INLINE Batch round(Batch v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static CLIPON_ALWAYS_INLINE Batch scale(Batch v, Batch n) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(v, _mm256_castsi256_ps(exponent));
  }
  static CLIPON_ALWAYS_INLINE Batch from_f16(const std::uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_bf16(const std::uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i8(const std::int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static CLIPON_ALWAYS_INLINE Batch from_integers(Integers v) { return _mm256_cvtepi32_ps(v); }
  static CLIPON_ALWAYS_INLINE Batch from_i32(const std::int32_t* p) {
    return from_integers(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_u8(const std::uint8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static CLIPON_ALWAYS_INLINE void store_pairs(std::uint32_t* p, const std::uint16_t* low, const std::uint16_t* high) {
    const __m256i a = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low)));
    const __m256i b = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(high)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(a, _mm256_slli_epi32(b, 16)));
  }
  static CLIPON_ALWAYS_INLINE void store_bf16(std::uint16_t* p, Batch v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));  // as in SSE2
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i upper = _mm256_srai_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packs_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1)));
  }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
template <class Arch>
struct F32<Arch, 512> {
  using Batch = xsimd::batch<float, xsimd::avx512bw>;
  using Integers = __m512i;  // of 32 bits
  static constexpr index_t width = 16;
  // g++ 12 warns of an uninitialised value inside the unmasked forms of max, min, roundscale and scalef; with a full
  // mask both compilers emit the same instructions.
  static constexpr __mmask16 kAll = 0xffff;
  static CLIPON_ALWAYS_INLINE __mmask16 first(index_t n) {  // lanes 0..n-1
    return n >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << n) - 1u);
  }
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return _mm512_loadu_ps(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch v) { _mm512_storeu_ps(p, v); }
  static CLIPON_ALWAYS_INLINE Batch load_part(const float* p, index_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static CLIPON_ALWAYS_INLINE Batch load_part_or(const float* p, index_t n, float other) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(other), first(n), p);
  }
  static CLIPON_ALWAYS_INLINE void store_part(float* p, Batch v, index_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
  static CLIPON_ALWAYS_INLINE Batch keep(Batch v, index_t n) { return _mm512_maskz_mov_ps(first(n), v); }
  static CLIPON_ALWAYS_INLINE void forget(Batch& v) { __asm__("" : "+v"(v.data)); }
  static CLIPON_ALWAYS_INLINE Batch set(float x) { return _mm512_set1_ps(x); }
  static CLIPON_ALWAYS_INLINE Batch fma(Batch a, Batch b, Batch c) { return _mm512_fmadd_ps(a, b, c); }
  static CLIPON_ALWAYS_INLINE Batch fnma(Batch a, Batch b, Batch c) { return _mm512_fnmadd_ps(a, b, c); }
  static CLIPON_ALWAYS_INLINE Batch max(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_max(a.data, b.data);
    return _mm512_maskz_max_ps(kAll, a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch min(Batch a, Batch b) {
    if constexpr (kFiniteMathOnly) return nan_min(a.data, b.data);
    return _mm512_maskz_min_ps(kAll, a, b);
  }
  static CLIPON_ALWAYS_INLINE Batch where_greater(Batch a, Batch b, Batch x, Batch y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
  }
  static CLIPON_ALWAYS_INLINE float sum(Batch v) {
    const __m256 upper = _mm512_maskz_extractf32x8_ps(0xff, v, 1);
    return F32<Arch, 256>::sum(_mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), upper));
  }
  static CLIPON_ALWAYS_INLINE Batch sums(const Batch (&v)[16]) {
    const auto quarter =
        [](const Batch* p) __attribute__((always_inline)) {  // in each 128 bits the sums of p[0..3] there
      const __m512 ab =
          _mm512_add_ps(_mm512_maskz_unpacklo_ps(kAll, p[0], p[1]), _mm512_maskz_unpackhi_ps(kAll, p[0], p[1]));
      const __m512 cd =
          _mm512_add_ps(_mm512_maskz_unpacklo_ps(kAll, p[2], p[3]), _mm512_maskz_unpackhi_ps(kAll, p[2], p[3]));
      return _mm512_add_ps(_mm512_maskz_shuffle_ps(kAll, ab, cd, 0x44), _mm512_maskz_shuffle_ps(kAll, ab, cd, 0xee));
    };
    const auto half = [](__m512 a, __m512 b) __attribute__((always_inline)) {
      return _mm512_add_ps(_mm512_maskz_shuffle_f32x4(kAll, a, b, 0x44), _mm512_maskz_shuffle_f32x4(kAll, a, b, 0xee));
    };
    const __m512 low = half(quarter(v), quarter(v + 4));
    const __m512 high = half(quarter(v + 8), quarter(v + 12));
    return _mm512_add_ps(_mm512_maskz_shuffle_f32x4(kAll, low, high, 0x88),
                         _mm512_maskz_shuffle_f32x4(kAll, low, high, 0xdd));
  }
  static CLIPON_ALWAYS_INLINE float greatest(Batch v) {
    const __m256 upper = _mm512_maskz_extractf32x8_ps(0xff, v, 1);
    return F32<Arch, 256>::greatest(_mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), upper));
  }
  static CLIPON_ALWAYS_INLINE Batch about_inverse(Batch x) { return _mm512_maskz_rcp14_ps(kAll, x); }
  static CLIPON_ALWAYS_INLINE Batch quotient(Batch x, Batch y) {  // VDIVPS takes 16 cycles on Intel, 10 on Zen
    const Batch about = about_inverse(y);                         // a step of Newton's method squares its error, 2^-14
    return x * (about * fnma(y, about, set(2.0f)));
  }
  static CLIPON_ALWAYS_INLINE Batch round(Batch v) {
    return _mm512_maskz_roundscale_ps(kAll, v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static CLIPON_ALWAYS_INLINE Batch scale(Batch v, Batch n) { return _mm512_maskz_scalef_ps(kAll, v, n); }
  static CLIPON_ALWAYS_INLINE Batch from_f16(const std::uint16_t* p) {
    return _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_bf16(const std::uint16_t* p) {
    const __m512i wide = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, wide, 16));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i8(const std::int8_t* p) {
    return _mm512_maskz_cvtepi32_ps(
        kAll, _mm512_maskz_cvtepi8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static CLIPON_ALWAYS_INLINE Batch from_integers(Integers v) { return _mm512_maskz_cvtepi32_ps(kAll, v); }
  static CLIPON_ALWAYS_INLINE Batch from_i32(const std::int32_t* p) { return from_integers(_mm512_loadu_si512(p)); }
  static CLIPON_ALWAYS_INLINE Batch from_u8(const std::uint8_t* p) {
    return _mm512_maskz_cvtepi32_ps(
        kAll, _mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static CLIPON_ALWAYS_INLINE void store_pairs(std::uint32_t* p, const std::uint16_t* low, const std::uint16_t* high) {
    const __m512i a = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)));
    const __m512i b = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)));
    _mm512_storeu_si512(p, _mm512_or_si512(a, _mm512_maskz_slli_epi32(kAll, b, 16)));
  }
  static CLIPON_ALWAYS_INLINE void store_bf16(std::uint16_t* p, Batch v) {
#if defined(__AVX512BF16__)
    if constexpr (Arch::has_bf16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), std::bit_cast<__m256i>(_mm512_cvtneps_pbh(v)));
      return;
    }
#endif
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_maskz_srli_epi32(kAll, bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f800000));  // as in SSE2
    const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_maskz_cvtepi32_epi16(kAll, _mm512_maskz_srli_epi32(kAll, kept, 16)));
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

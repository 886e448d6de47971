// transpose_four<Arch>: a register's width of rows, four 32-bit values of each, become four rows of that width.
// Layer 1; per ISA.  Used to pack weights, keys and few rows: it turns [keys][steps] into the [steps][keys] that a
// product's panel is.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits>
struct Quads {  // portable: one row
  static CLIPON_ALWAYS_INLINE void transpose(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                             index_t out_stride) {
    for (index_t i = 0; i < 4; ++i) __builtin_memcpy(out + i * out_stride, rows[0] + offset + 4 * i, 4);
  }
};

#if defined(__SSE2__)
template <class Arch>
struct Quads<Arch, 128> {
  static CLIPON_ALWAYS_INLINE __m128 load(const unsigned char* p) {
    return _mm_castsi128_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static CLIPON_ALWAYS_INLINE void transpose(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                             index_t out_stride) {
    __m128 a = load(rows[0] + offset);
    __m128 b = load(rows[1] + offset);
    __m128 c = load(rows[2] + offset);
    __m128 d = load(rows[3] + offset);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(reinterpret_cast<float*>(out), a);
    _mm_storeu_ps(reinterpret_cast<float*>(out + out_stride), b);
    _mm_storeu_ps(reinterpret_cast<float*>(out + 2 * out_stride), c);
    _mm_storeu_ps(reinterpret_cast<float*>(out + 3 * out_stride), d);
  }
};
#endif

#if defined(__aarch64__)
template <class Arch>
struct Quads<Arch, 128> {
  static CLIPON_ALWAYS_INLINE uint32x4_t load(const unsigned char* p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }
  static CLIPON_ALWAYS_INLINE void transpose(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                             index_t out_stride) {
    const uint32x4_t a = load(rows[0] + offset);
    const uint32x4_t b = load(rows[1] + offset);
    const uint32x4_t c = load(rows[2] + offset);
    const uint32x4_t d = load(rows[3] + offset);
    const auto pairs = [](uint32x4_t even, uint32x4_t odd) __attribute__((always_inline)) {  // a0 b0 a2 b2, a1 b1 a3 b3
      return uint64x2x2_t{{vreinterpretq_u64_u32(vtrn1q_u32(even, odd)), vreinterpretq_u64_u32(vtrn2q_u32(even, odd))}};
    };
    const uint64x2x2_t ab = pairs(a, b);
    const uint64x2x2_t cd = pairs(c, d);
    vst1q_u32(out, vreinterpretq_u32_u64(vtrn1q_u64(ab.val[0], cd.val[0])));
    vst1q_u32(out + out_stride, vreinterpretq_u32_u64(vtrn1q_u64(ab.val[1], cd.val[1])));
    vst1q_u32(out + 2 * out_stride, vreinterpretq_u32_u64(vtrn2q_u64(ab.val[0], cd.val[0])));
    vst1q_u32(out + 3 * out_stride, vreinterpretq_u32_u64(vtrn2q_u64(ab.val[1], cd.val[1])));
  }
};
#endif

// Rows i, i + 4, ... lie in the 128-bit lanes of one register, so that a 4 x 4 transposition within the lanes is all.
#if defined(__AVX2__)
template <class Arch>
struct Quads<Arch, 256> {
  static CLIPON_ALWAYS_INLINE __m256 load(const unsigned char* const* rows, index_t offset) {
    const __m256 low = _mm256_castps128_ps256(Quads<Arch, 128>::load(rows[0] + offset));
    const __m128 high = Quads<Arch, 128>::load(rows[4] + offset);
    return _mm256_insertf128_ps(low, high, 1);  // a macro in clang 14, which takes no commas within an argument
  }
  static CLIPON_ALWAYS_INLINE void transpose(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                             index_t out_stride) {
    const __m256 a = load(rows, offset);
    const __m256 b = load(rows + 1, offset);
    const __m256 c = load(rows + 2, offset);
    const __m256 d = load(rows + 3, offset);
    const __m256 ab = _mm256_unpacklo_ps(a, b);  // a0 b0 a1 b1 of each lane
    const __m256 cd = _mm256_unpacklo_ps(c, d);
    const __m256 ab_high = _mm256_unpackhi_ps(a, b);  // a2 b2 a3 b3
    const __m256 cd_high = _mm256_unpackhi_ps(c, d);
    auto* p = reinterpret_cast<float*>(out);
    _mm256_storeu_ps(p, _mm256_shuffle_ps(ab, cd, 0x44));
    _mm256_storeu_ps(p + out_stride, _mm256_shuffle_ps(ab, cd, 0xee));
    _mm256_storeu_ps(p + 2 * out_stride, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
    _mm256_storeu_ps(p + 3 * out_stride, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
  }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
template <class Arch>
struct Quads<Arch, 512> {
  static constexpr __mmask16 kAll = F32<Arch, 512>::kAll;
  static CLIPON_ALWAYS_INLINE __m512 load(const unsigned char* const* rows, index_t offset) {
    const __m512 low = _mm512_castps256_ps512(Quads<Arch, 256>::load(rows, offset));
    return _mm512_maskz_insertf32x8(kAll, low, (Quads<Arch, 256>::load(rows + 8, offset)), 1);
  }
  static CLIPON_ALWAYS_INLINE void transpose(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                             index_t out_stride) {
    const __m512 a = load(rows, offset);
    const __m512 b = load(rows + 1, offset);
    const __m512 c = load(rows + 2, offset);
    const __m512 d = load(rows + 3, offset);
    const __m512 ab = _mm512_maskz_unpacklo_ps(kAll, a, b);
    const __m512 cd = _mm512_maskz_unpacklo_ps(kAll, c, d);
    const __m512 ab_high = _mm512_maskz_unpackhi_ps(kAll, a, b);
    const __m512 cd_high = _mm512_maskz_unpackhi_ps(kAll, c, d);
    _mm512_storeu_ps(out, _mm512_maskz_shuffle_ps(kAll, ab, cd, 0x44));
    _mm512_storeu_ps(out + out_stride, _mm512_maskz_shuffle_ps(kAll, ab, cd, 0xee));
    _mm512_storeu_ps(out + 2 * out_stride, _mm512_maskz_shuffle_ps(kAll, ab_high, cd_high, 0x44));
    _mm512_storeu_ps(out + 3 * out_stride, _mm512_maskz_shuffle_ps(kAll, ab_high, cd_high, 0xee));
  }
};
#endif

/// rows: F32<Arch>::width pointers; 16 bytes of each from `offset` on -> out [4][width], row stride out_stride.
template <class Arch>
CLIPON_ALWAYS_INLINE void transpose_four(const unsigned char* const* rows, index_t offset, std::uint32_t* out,
                                         index_t out_stride) {
  Quads<Arch>::transpose(rows, offset, out, out_stride);
}

}  // namespace clipon::inline CLIPON_ABI::simd

// The two passes of Pillow's antialiased resize, in exact integers.  Layer 2, per ISA; called through the table by
// image/resize.hpp.  Pillow src/libImaging/Resample.c: 8-bit pixels, 22-bit fixed-point coefficients, a pass that
// rounds to 8 bits after each direction.
//
// A coefficient c is kept as two 16-bit halves, c = 4096 high + low with 0 <= low < 4096, so that one multiply-add
// instruction handles two taps: 4096 sum(p high) + sum(p low) is the same integer as sum(p c).  sum(p low) of more than
// 2,056 taps can pass 2^31; modulo 2^32 the whole is right all the same, so scalar code adds unsigned numbers.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "clipon/core/types.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/arch.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
CLIPON_ALWAYS_INLINE std::uint8_t round_to_byte(std::uint32_t high, std::uint32_t low) {
  const auto sum = static_cast<std::int32_t>((high << kResizeLowBits) + low + (1u << (kResizeBits - 1)));
  const std::int32_t value = sum >> kResizeBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// The definition, and what ISAs without a byte shuffle run.
template <class Arch>
CLIPON_ALWAYS_INLINE void resize_row_scalar(const ResizeRows& job, index_t row) {
  for (index_t x = 0; x < job.outputs; ++x) {
    const std::uint8_t* pixel = job.rows[row] + job.first[x] * job.channels;
    const std::int16_t* high = job.high + x * job.taps;
    const std::int16_t* low = job.low + x * job.taps;
    for (index_t c = 0; c < job.channels; ++c) {
      std::uint32_t sum_high = 0;
      std::uint32_t sum_low = 0;
      for (index_t t = 0; t < job.used[x]; ++t) {
        sum_high += static_cast<std::uint32_t>(pixel[t * job.channels + c] * high[t]);
        sum_low += static_cast<std::uint32_t>(pixel[t * job.channels + c] * low[t]);
      }
      job.out[row * job.out_stride + x * job.channels + c] = round_to_byte<Arch>(sum_high, sum_low);
    }
  }
}

#if defined(__AVX2__)
// Sums of both halves of a register to one pixel of 4 bytes.
template <class Arch>
CLIPON_ALWAYS_INLINE std::uint32_t round_to_pixel(__m256i high, __m256i low) {
  const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, kResizeLowBits), low);
  const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  const __m128i value = _mm_srai_epi32(_mm_add_epi32(both, _mm_set1_epi32(1 << (kResizeBits - 1))), kResizeBits);
  const __m128i words = _mm_packs_epi32(value, value);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_packus_epi16(words, words)));
}

// Four rows share each load of coefficients.  A step takes four taps: the low half of a register has pixels 0 and 1,
// the high half pixels 2 and 3, as words r0 r1 g0 g1 b0 b1 a0 a1.
template <class Arch, int channels>
CLIPON_ALWAYS_INLINE void resize_four_rows(const ResizeRows& job) {
  constexpr char z = -128;  // pshufb writes zero
  const __m256i words = channels == 3 ? _mm256_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z,  //
                                                         6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z)
                                      : _mm256_setr_epi8(0, z, 4, z, 1, z, 5, z, 2, z, 6, z, 3, z, 7, z,  //
                                                         8, z, 12, z, 9, z, 13, z, 10, z, 14, z, 11, z, 15, z);
  const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  for (index_t x = 0; x < job.outputs; ++x) {
    const std::int16_t* high = job.high + x * job.taps;
    const std::int16_t* low = job.low + x * job.taps;
    __m256i sum_high[4];
    __m256i sum_low[4];
    for (int r = 0; r < 4; ++r) sum_high[r] = sum_low[r] = _mm256_setzero_si256();
    for (index_t t = 0; t < job.used[x]; t += 4) {
      const auto* h = reinterpret_cast<const __m128i*>(high + t);
      const auto* l = reinterpret_cast<const __m128i*>(low + t);
      const __m256i kh = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64(h)), spread);
      const __m256i kl = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64(l)), spread);
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        const std::uint8_t* pixel = job.rows[r] + (job.first[x] + t) * channels;
        const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
        const __m256i p = _mm256_shuffle_epi8(bytes, words);
        sum_high[r] = _mm256_add_epi32(sum_high[r], _mm256_madd_epi16(p, kh));
        sum_low[r] = _mm256_add_epi32(sum_low[r], _mm256_madd_epi16(p, kl));
      }
    }
    for (int r = 0; r < 4; ++r) {
      const std::uint32_t value = round_to_pixel<Arch>(sum_high[r], sum_low[r]);
      std::uint8_t* out = job.out + r * job.out_stride + x * channels;
      for (int c = 0; c < channels; ++c) out[c] = static_cast<std::uint8_t>(value >> (8 * c));
    }
  }
}
#endif

#if defined(__AVX512BW__)
// sum + products of 16-bit pairs, a lane; g++ 12 warns of the unmasked forms (see F32<Arch, 512>)
template <class Arch>
CLIPON_ALWAYS_INLINE __m512i add_pairs(__m512i sum, __m512i p, __m512i k) {
#if defined(__AVX512VNNI__)
  if constexpr (Arch::has_vnni) return _mm512_dpwssd_epi32(sum, p, k);
#endif
  return _mm512_add_epi32(sum, _mm512_madd_epi16(p, k));
}

template <class Arch>
CLIPON_ALWAYS_INLINE __m512i both_taps(const std::int16_t* k) {
  std::int32_t pair;
  __builtin_memcpy(&pair, k, sizeof pair);
  return _mm512_set1_epi32(pair);
}

// The bytes that 32-bit sums of both halves round to, in the lowest byte of each lane.
template <class Arch>
CLIPON_ALWAYS_INLINE __m512i round_to_bytes(__m512i high, __m512i low) {
  constexpr __mmask16 all = 0xffff;
  const __m512i sum = _mm512_add_epi32(_mm512_maskz_slli_epi32(all, high, kResizeLowBits), low);
  const __m512i half = _mm512_set1_epi32(1 << (kResizeBits - 1));
  const __m512i value = _mm512_maskz_srai_epi32(all, _mm512_add_epi32(sum, half), kResizeBits);
  return _mm512_maskz_min_epi32(all, _mm512_maskz_max_epi32(all, value, _mm512_setzero_si512()),
                                _mm512_set1_epi32(255));
}

// Each 128-bit lane is a row.  A load of 16 bytes has four taps of it; two taps are words r0 r1 g0 g1 b0 b1 a0 a1, so
// that the sums of a lane are its pixel and nothing is added across lanes.
template <class Arch, int channels>
CLIPON_ALWAYS_INLINE void resize_four_lanes(const ResizeRows& job) {
  constexpr char z = -128;  // pshufb writes zero
  const __m128i front = channels == 3 ? _mm_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z)
                                      : _mm_setr_epi8(0, z, 4, z, 1, z, 5, z, 2, z, 6, z, 3, z, 7, z);
  const __m128i back = channels == 3 ? _mm_setr_epi8(6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z)
                                     : _mm_setr_epi8(8, z, 12, z, 9, z, 13, z, 10, z, 14, z, 11, z, 15, z);
  const __m512i first_taps = _mm512_maskz_broadcast_i32x4(0xffff, front);
  const __m512i last_taps = _mm512_maskz_broadcast_i32x4(0xffff, back);
  const auto quad = [](const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
  const index_t outputs = job.outputs;  // of its own: a byte's store might change what `job` says
  const index_t out_stride = job.out_stride;
  for (index_t x = 0; x < outputs; ++x) {
    const std::int16_t* high = job.high + x * job.taps;
    const std::int16_t* low = job.low + x * job.taps;
    __m512i sum_high = _mm512_setzero_si512();
    __m512i sum_low = _mm512_setzero_si512();
    const index_t used = job.used[x];
    for (index_t t = 0; t < used; t += 4) {
      const index_t at = (job.first[x] + t) * channels;
      const __m256i a =
          _mm256_inserti128_si256(_mm256_castsi128_si256(quad(job.rows[0] + at)), quad(job.rows[1] + at), 1);
      const __m256i b =
          _mm256_inserti128_si256(_mm256_castsi128_si256(quad(job.rows[2] + at)), quad(job.rows[3] + at), 1);
      const __m512i bytes = _mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(a), b, 1);
      const __m512i p = _mm512_shuffle_epi8(bytes, first_taps);
      const __m512i q = _mm512_shuffle_epi8(bytes, last_taps);
      sum_high =
          add_pairs<Arch>(add_pairs<Arch>(sum_high, p, both_taps<Arch>(high + t)), q, both_taps<Arch>(high + t + 2));
      sum_low = add_pairs<Arch>(add_pairs<Arch>(sum_low, p, both_taps<Arch>(low + t)), q, both_taps<Arch>(low + t + 2));
    }
    const __m128i pixels = _mm512_maskz_cvtepi32_epi8(0xffff, round_to_bytes<Arch>(sum_high, sum_low));  // [4 rows, 4]
    const int values[4] = {_mm_cvtsi128_si32(pixels), _mm_extract_epi32(pixels, 1), _mm_extract_epi32(pixels, 2),
                           _mm_extract_epi32(pixels, 3)};
    std::uint8_t* target = job.out + x * channels;
    if (x + 1 < outputs) {  // the row's next pixel will be written over the last byte
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) __builtin_memcpy(target + r * out_stride, &values[r], 4);
    } else {
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) __builtin_memcpy(target + r * out_stride, &values[r], channels);
    }
  }
}
#endif

/// Four rows of pixels, resized along x.  Rows may be the same; each is readable for Pixels::kTail bytes beyond its
/// last tap.
template <class Arch>
inline void resize_rows(const ResizeRows& job) {
#if defined(__AVX512BW__)
  if constexpr (Arch::vector_bits == 512) {
    if (job.channels == 3) return resize_four_lanes<Arch, 3>(job);
    return resize_four_lanes<Arch, 4>(job);
  }
#endif
#if defined(__AVX2__)
  if constexpr (Arch::vector_bits >= 256) {
    if (job.channels == 3) return resize_four_rows<Arch, 3>(job);
    return resize_four_rows<Arch, 4>(job);
  }
#endif
  for (index_t r = 0; r < 4; ++r) resize_row_scalar<Arch>(job, r);
}

#if defined(__AVX512BW__)
// Bytes 0 .. n of a whole number of registers; returns n.  The words of two rows alternate, within 128-bit lanes.
template <class Arch>
CLIPON_ALWAYS_INLINE index_t resize_columns_by_32(const ResizeColumns& job) {
  index_t i = 0;
  for (; i + 32 <= job.n; i += 32) {
    __m512i high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i low[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (index_t t = 0; t < job.taps; t += 2) {
      const __m512i a = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.rows[t] + i)));
      const __m512i b = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.rows[t + 1] + i)));
      const __m512i p[2] = {_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)};
      for (int half = 0; half < 2; ++half) {
        high[half] = add_pairs<Arch>(high[half], p[half], both_taps<Arch>(job.high + t));
        low[half] = add_pairs<Arch>(low[half], p[half], both_taps<Arch>(job.low + t));
      }
    }
    const __m512i words =  // in the order of the bytes again: packing undoes what unpacking did
        _mm512_packus_epi32(round_to_bytes<Arch>(high[0], low[0]), round_to_bytes<Arch>(high[1], low[1]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.out + i), _mm512_maskz_cvtepi16_epi8(0xffffffffu, words));
  }
  return i;
}
#endif

/// One row of bytes from `taps` rows, resized along y; taps is even.
template <class Arch>
inline void resize_columns(const ResizeColumns& job) {
  index_t i = 0;
#if defined(__AVX512BW__)
  if constexpr (Arch::vector_bits == 512) i = resize_columns_by_32<Arch>(job);
#endif
#if defined(__AVX2__)
  if constexpr (Arch::vector_bits >= 256) {
    for (; i + 16 <= job.n; i += 16) {
      __m256i high[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      __m256i low[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      for (index_t t = 0; t < job.taps; t += 2) {
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.rows[t] + i));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.rows[t + 1] + i));
        const __m256i p[2] = {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)),
                              _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b))};
        const auto pair = [](const std::int16_t* k) {
          return _mm256_set1_epi32(
              static_cast<std::int32_t>((static_cast<std::uint32_t>(k[1]) << 16) | static_cast<std::uint16_t>(k[0])));
        };
        const __m256i kh = pair(job.high + t);
        const __m256i kl = pair(job.low + t);
        for (int half = 0; half < 2; ++half) {
          high[half] = _mm256_add_epi32(high[half], _mm256_madd_epi16(p[half], kh));
          low[half] = _mm256_add_epi32(low[half], _mm256_madd_epi16(p[half], kl));
        }
      }
      __m256i value[2];
      for (int half = 0; half < 2; ++half) {
        const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high[half], kResizeLowBits), low[half]);
        value[half] = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (kResizeBits - 1))), kResizeBits);
      }
      // packs works within 128-bit lanes: words 0-3 8-11 | 4-7 12-15, put in order before the bytes are packed
      const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(value[0], value[1]), 0xd8);
      const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(job.out + i), bytes);
    }
  }
#endif
  for (; i < job.n; ++i) {
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    for (index_t t = 0; t < job.taps; ++t) {
      high += static_cast<std::uint32_t>(job.rows[t][i] * job.high[t]);
      low += static_cast<std::uint32_t>(job.rows[t][i] * job.low[t]);
    }
    job.out[i] = round_to_byte<Arch>(high, low);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

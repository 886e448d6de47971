// The two passes of Pillow's antialiased resize, in exact integers.  Layer 2, per ISA; called through the table by
// image/resize.hpp.  Pillow src/libImaging/Resample.c: 8-bit pixels, 22-bit fixed-point coefficients, a pass that
// rounds to 8 bits after each direction.
//
// A coefficient c is kept as two 16-bit halves, c = 4096 high + low with 0 <= low < 4096, so that one multiply-add
// instruction handles two taps: 4096 sum(p high) + sum(p low) is the same integer as sum(p c).  sum(p low) of more than
// 2,056 taps can pass 2^31; modulo 2^32 the whole is right all the same, so all sums are of unsigned numbers.
//
// The pass along x leaves bytes as words, those of two rows in turn: the pass along y multiplies them as they lie.
#pragma once

#include "clipon/core/types.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/bytes.hpp"
#include "clipon/simd/word_dot.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// What ISAs below AVX2 run.
template <class Arch>
CLIPON_ALWAYS_INLINE void resize_row_scalar(const ResizeRows& job, index_t row) {
  for (index_t x = 0; x < job.outputs; ++x) {
    const std::uint8_t* pixel = job.rows[row] + job.first[x] * job.channels;
    const std::int16_t* high = job.high + x * job.taps;
    const std::int16_t* low = job.low + x * job.taps;
    for (index_t c = 0; c < job.channels; ++c) {
      std::uint32_t sum_high = 0;
      std::uint32_t sum_low = kResizeHalf;
      for (index_t t = 0; t < job.used[x]; ++t) {
        sum_high += static_cast<std::uint32_t>(pixel[t * job.channels + c] * high[t]);
        sum_low += static_cast<std::uint32_t>(pixel[t * job.channels + c] * low[t]);
      }
      const auto sum = static_cast<std::int32_t>((sum_high << kResizeLowBits) + sum_low);
      const std::int32_t value = sum >> kResizeBits;
      job.out[row / 2 * job.out_stride + (x * job.channels + c) * 2 + row % 2] =
          static_cast<std::uint16_t>(value < 0     ? 0
                                     : value > 255 ? 255
                                                   : value);
    }
  }
}

#if defined(__AVX2__)
// Shuffles that make words of the first two of four taps, and of the others: r0 r1 g0 g1 b0 b1 a0 a1.  So the sums of
// 128 bits are a pixel, and nothing is added across them.
template <class Arch, int channels>
CLIPON_ALWAYS_INLINE __m128i pair_of_taps(bool others) {
  constexpr char z = -128;  // pshufb writes zero
  if (channels == 3 && !others) return _mm_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z);
  if (channels == 3) return _mm_setr_epi8(6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z);
  if (!others) return _mm_setr_epi8(0, z, 4, z, 1, z, 5, z, 2, z, 6, z, 3, z, 7, z);
  return _mm_setr_epi8(8, z, 12, z, 9, z, 13, z, 10, z, 14, z, 11, z, 15, z);
}

// 16 bytes of two rows, which have four taps of each
template <class Arch>
CLIPON_ALWAYS_INLINE __m256i two_rows(const std::uint8_t* a, const std::uint8_t* b) {
  const auto quad = [](const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(quad(a)), quad(b), 1);
}

// Rounds a pixel of each row and stores it: `even` has sums of rows 0 and 2, `odd` of rows 1 and 3, each in 128 bits.
template <class Arch>
CLIPON_ALWAYS_INLINE void store_pairs(__m256i even, __m256i odd, std::uint16_t* out, index_t stride) {
  constexpr int odd_words = 0xaa;
  const __m256i values =
      _mm256_blend_epi16(_mm256_srai_epi32(even, kResizeBits), _mm256_srai_epi32(odd, kResizeBits - 16), odd_words);
  const __m256i words = _mm256_min_epi16(_mm256_max_epi16(values, _mm256_setzero_si256()), _mm256_set1_epi16(255));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(words));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + stride), _mm256_extracti128_si256(words, 1));
}

// Sums of a pixel of each of four rows.
template <class Arch, int channels, int bits = Arch::vector_bits>
struct FourPixels {  // even rows in one register, odd rows in the other
  using W = simd::I16<Arch, 256>;
  typename W::Sum high[2] = {W::set(0), W::set(0)};
  typename W::Sum low[2] = {W::set(kResizeHalf), W::set(kResizeHalf)};

  template <int pairs>
  CLIPON_ALWAYS_INLINE void add(const std::uint8_t* const (&rows)[4], index_t at, const std::int16_t* h,
                                const std::int16_t* l) {
    const __m256i bytes[2] = {two_rows<Arch>(rows[0] + at, rows[2] + at), two_rows<Arch>(rows[1] + at, rows[3] + at)};
#pragma GCC unroll 2
    for (int pair = 0; pair < pairs; ++pair) {
      const __m256i order = _mm256_broadcastsi128_si256(pair_of_taps<Arch, channels>(pair == 1));
      const auto kh = W::broadcast(h + 2 * pair);
      const auto kl = W::broadcast(l + 2 * pair);
#pragma GCC unroll 2
      for (int r = 0; r < 2; ++r) {
        const __m256i p = _mm256_shuffle_epi8(bytes[r], order);
        high[r] = W::dot(p, kh, high[r]);
        low[r] = W::dot(p, kl, low[r]);
      }
    }
  }
  CLIPON_ALWAYS_INLINE void store(std::uint16_t* out, index_t stride) const {
    store_pairs<Arch>(reinterpret_cast<__m256i>((high[0] << kResizeLowBits) + low[0]),
                      reinterpret_cast<__m256i>((high[1] << kResizeLowBits) + low[1]), out, stride);
  }
};

#if defined(__AVX512BW__)
// Rows 0, 2, 1 and 3, each in 128 bits.  The pairs of taps have sums of their own: VPDPWSSD takes four or five cycles.
// g++ 12 warns of the unmasked forms (see F32<Arch, 512>).
template <class Arch, int channels>
struct FourPixels<Arch, channels, 512> {
  using W = simd::I16<Arch, 512>;
  typename W::Sum high[2] = {W::set(0), W::set(0)};
  typename W::Sum low[2] = {W::set(kResizeHalf), W::set(0)};

  template <int pairs>
  CLIPON_ALWAYS_INLINE void add(const std::uint8_t* const (&rows)[4], index_t at, const std::int16_t* h,
                                const std::int16_t* l) {
    const __m256i even = two_rows<Arch>(rows[0] + at, rows[2] + at);
    const __m256i odd = two_rows<Arch>(rows[1] + at, rows[3] + at);
    const __m512i bytes = _mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(even), odd, 1);
#pragma GCC unroll 2
    for (int pair = 0; pair < pairs; ++pair) {
      const __m512i order = _mm512_maskz_broadcast_i32x4(0xffff, pair_of_taps<Arch, channels>(pair == 1));
      const __m512i p = _mm512_shuffle_epi8(bytes, order);
      high[pair] = W::dot(p, W::broadcast(h + 2 * pair), high[pair]);
      low[pair] = W::dot(p, W::broadcast(l + 2 * pair), low[pair]);
    }
  }
  CLIPON_ALWAYS_INLINE void store(std::uint16_t* out, index_t stride) const {
    const auto sum = reinterpret_cast<__m512i>(((high[0] + high[1]) << kResizeLowBits) + (low[0] + low[1]));
    store_pairs<Arch>(_mm512_maskz_extracti64x4_epi64(0xff, sum, 0), _mm512_maskz_extracti64x4_epi64(0xff, sum, 1), out,
                      stride);
  }
};
#endif

template <class Arch, int channels>
CLIPON_ALWAYS_INLINE void resize_four_rows(const ResizeRows job) {  // a copy: what is stored can't change it
  for (index_t x = 0; x < job.outputs; ++x) {
    const std::int16_t* high = job.high + x * job.taps;
    const std::int16_t* low = job.low + x * job.taps;
    const index_t first = job.first[x];
    const index_t used = job.used[x];
    FourPixels<Arch, channels> sums;
    index_t t = 0;
    for (; t + 2 < used; t += 4) sums.template add<2>(job.rows, (first + t) * channels, high + t, low + t);
    if (t < used) sums.template add<1>(job.rows, (first + t) * channels, high + t, low + t);
    sums.store(job.out + x * channels * 2, job.out_stride);
  }
}
#endif

/// Four rows of pixels, resized along x.  Rows may be the same; each is readable for Pixels::kTail bytes beyond its
/// last tap.
template <class Arch>
inline void resize_rows(const ResizeRows& job) {
#if defined(__AVX2__)
  if constexpr (Arch::vector_bits >= 256) {
    if (job.channels == 3) return resize_four_rows<Arch, 3>(job);
    return resize_four_rows<Arch, 4>(job);
  }
#endif
  for (index_t r = 0; r < 4; ++r) resize_row_scalar<Arch>(job, r);
}

// As many bytes as Bytes stores together, from byte i on.
template <class Arch, int bits>
CLIPON_ALWAYS_INLINE void resize_column(const ResizeColumns& job, index_t i) {
  using W = simd::I16<Arch, bits>;
  constexpr int registers = simd::Bytes<Arch, bits>::registers;
  constexpr index_t lanes = bits / 32;
  typename W::Sum high[registers];
  typename W::Sum low[registers];
  for (int r = 0; r < registers; ++r) {
    high[r] = W::set(0);
    low[r] = W::set(kResizeHalf);
  }
  for (index_t t = 0; t < job.count; ++t) {
    const auto kh = W::broadcast(job.high + 2 * t);
    const auto kl = W::broadcast(job.low + 2 * t);
    const std::uint16_t* pair = job.pairs[t] + 2 * i;
#pragma GCC unroll 4
    for (int r = 0; r < registers; ++r) {
      const auto p = W::load(pair + 2 * lanes * r);
      high[r] = W::dot(p, kh, high[r]);
      low[r] = W::dot(p, kl, low[r]);
    }
  }
  typename W::Integers value[registers];
#pragma GCC unroll 4
  for (int r = 0; r < registers; ++r)
    value[r] = W::template shift_down<kResizeBits>((high[r] << kResizeLowBits) + low[r]);
  simd::Bytes<Arch, bits>::store_all(job.out + i, value);
}

/// One row of bytes from pairs of rows, resized along y.
template <class Arch>
inline void resize_columns(const ResizeColumns& job) {
  constexpr index_t step = simd::Bytes<Arch>::registers * Arch::vector_bits / 32;
  if (job.n < step) {
    for (index_t i = 0; i < job.n; ++i) resize_column<Arch, 32>(job, i);
    return;
  }
  for (index_t i = 0; i < job.n; i += step) {  // the last step ends with the row: some bytes are computed twice
    resize_column<Arch, Arch::vector_bits>(job, i + step <= job.n ? i : job.n - step);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

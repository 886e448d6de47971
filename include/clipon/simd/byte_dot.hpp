// I32<Arch>: a register of 32-bit sums, to which four products of an unsigned and a signed byte are added a lane.
// VPDPBUSD where the ISA has it.  Elsewhere the even and the odd bytes become 16-bit lanes, whose products VPMADDWD
// sums in pairs without overflow (255 * 127 * 2 < 2^31), so every ISA gives the same integers.  Layer 1; per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits, bool vnni = Arch::has_vnni>
struct I32;

template <class Arch>
struct I32<Arch, 32, false> {  // portable: one lane
  using Sum = std::int32_t;
  struct Bytes {
    std::int32_t of[4];
  };
  static CLIPON_ALWAYS_INLINE Sum zero() { return 0; }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    const auto* b = static_cast<const std::int8_t*>(p);
    return {{b[0], b[1], b[2], b[3]}};
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return {{static_cast<std::int32_t>(b & 255), static_cast<std::int32_t>(b >> 8 & 255),
             static_cast<std::int32_t>(b >> 16 & 255), static_cast<std::int32_t>(b >> 24)}};
  }
  static CLIPON_ALWAYS_INLINE Sum dot(const Bytes& a, const Bytes& w, Sum sum) {
    for (int i = 0; i < 4; ++i) sum += a.of[i] * w.of[i];
    return sum;
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) { *p = sum; }
};

#if defined(__SSE2__)
template <class Arch>
struct I32<Arch, 128, false> {
  using Sum = __m128i;
  struct Bytes {
    __m128i even;  // bytes 0 and 2 of each lane, as 16 bits
    __m128i odd;   // bytes 1 and 3
  };
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm_setzero_si128(); }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    const __m128i w = _mm_loadu_si128(static_cast<const __m128i*>(p));
    return {_mm_srai_epi16(_mm_slli_epi16(w, 8), 8), _mm_srai_epi16(w, 8)};
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return {_mm_set1_epi32(static_cast<int>(b & 0x00ff00ffu)), _mm_set1_epi32(static_cast<int>(b >> 8 & 0x00ff00ffu))};
  }
  static CLIPON_ALWAYS_INLINE Sum dot(const Bytes& a, const Bytes& w, Sum sum) {
    return _mm_add_epi32(sum, _mm_add_epi32(_mm_madd_epi16(a.even, w.even), _mm_madd_epi16(a.odd, w.odd)));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), sum);
  }
};
#endif

#if defined(__AVX2__)
template <class Arch>
struct I32<Arch, 256, false> {
  using Sum = __m256i;
  struct Bytes {
    __m256i even;
    __m256i odd;
  };
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm256_setzero_si256(); }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    const __m256i w = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return {_mm256_set1_epi32(static_cast<int>(b & 0x00ff00ffu)),
            _mm256_set1_epi32(static_cast<int>(b >> 8 & 0x00ff00ffu))};
  }
  static CLIPON_ALWAYS_INLINE Sum dot(const Bytes& a, const Bytes& w, Sum sum) {
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(a.even, w.even), _mm256_madd_epi16(a.odd, w.odd)));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sum);
  }
};
#endif

#if defined(__AVXVNNI__)
template <class Arch>
struct I32<Arch, 256, true> {
  using Sum = __m256i;
  using Bytes = __m256i;
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm256_setzero_si256(); }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return _mm256_set1_epi32(static_cast<int>(b));
  }
  static CLIPON_ALWAYS_INLINE Sum dot(Bytes a, Bytes w, Sum sum) { return _mm256_dpbusd_avx_epi32(sum, a, w); }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sum);
  }
};
#endif

#if defined(__AVX512BW__)
template <class Arch>
struct I32<Arch, 512, false> {
  using Sum = __m512i;
  struct Bytes {
    __m512i even;
    __m512i odd;
  };
  static CLIPON_ALWAYS_INLINE Sum zero() { return _mm512_setzero_si512(); }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) {
    const __m512i w = _mm512_loadu_si512(p);
    return {_mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8), _mm512_srai_epi16(w, 8)};
  }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return {_mm512_set1_epi32(static_cast<int>(b & 0x00ff00ffu)),
            _mm512_set1_epi32(static_cast<int>(b >> 8 & 0x00ff00ffu))};
  }
  static CLIPON_ALWAYS_INLINE Sum dot(const Bytes& a, const Bytes& w, Sum sum) {
    return _mm512_add_epi32(sum, _mm512_add_epi32(_mm512_madd_epi16(a.even, w.even), _mm512_madd_epi16(a.odd, w.odd)));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) { _mm512_storeu_si512(p, sum); }
};
#endif

#if defined(__AVX512VNNI__)
template <class Arch>
struct I32<Arch, 512, true> {
  using Sum = __v16si;  // not __m512i: g++ 12 keeps sums of that type on the stack, at half the speed
  using Bytes = __m512i;
  static CLIPON_ALWAYS_INLINE Sum zero() { return Sum{}; }
  static CLIPON_ALWAYS_INLINE Bytes load_signed(const void* p) { return _mm512_loadu_si512(p); }
  static CLIPON_ALWAYS_INLINE Bytes broadcast_unsigned(std::uint32_t b) {
    return _mm512_set1_epi32(static_cast<int>(b));
  }
  static CLIPON_ALWAYS_INLINE Sum dot(Bytes a, Bytes w, Sum sum) {
    return reinterpret_cast<Sum>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), a, w));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(sum));
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

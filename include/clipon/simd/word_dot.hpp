// I16<Arch>: a register of 16-bit integers, and of the 32-bit sums that the products of neighbours are added to.
// Layer 1; used by products of bytes without VNNI and by resize_pass.hpp.  Per ISA.
//
// What becomes of bytes where no instruction multiplies them exactly: VPMADDWD has room for all sums of two products,
// VPMADDUBSW has not.  All arithmetic is modulo 2^16 and 2^32, so an order of additions that overflows on the way gives
// the same sums.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits = Arch::vector_bits>
struct I16;

template <class Arch>
struct I16<Arch, 32> {  // portable: two words in 32 bits, one sum
  using Words = std::uint32_t;
  using Sum = std::uint32_t;
  using Integers = std::int32_t;
  static CLIPON_ALWAYS_INLINE Words load(const void* p) {
    Words w;
    __builtin_memcpy(&w, p, sizeof w);
    return w;
  }
  static CLIPON_ALWAYS_INLINE void store(void* p, Words w) { __builtin_memcpy(p, &w, sizeof w); }
  static CLIPON_ALWAYS_INLINE Words broadcast(const void* p) { return load(p); }
  static CLIPON_ALWAYS_INLINE void forget(Words& w) { __asm__("" : "+r"(w)); }  // what the compiler knows of it
  static CLIPON_ALWAYS_INLINE Words add(Words a, Words b) {
    return ((a & 0xffff0000u) + (b & 0xffff0000u)) | ((a + b) & 0xffffu);
  }
  static CLIPON_ALWAYS_INLINE Words subtract(Words a, Words b) {
    return ((a & 0xffff0000u) - (b & 0xffff0000u)) | ((a - b) & 0xffffu);
  }
  static CLIPON_ALWAYS_INLINE Sum set(std::uint32_t x) { return x; }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return load(p); }
  static CLIPON_ALWAYS_INLINE Sum dot(Words a, Words b, Sum sum) {
    const auto half = [](std::uint32_t w) { return static_cast<std::int32_t>(static_cast<std::int16_t>(w)); };
    return sum + static_cast<std::uint32_t>(half(a & 0xffffu) * half(b & 0xffffu)) +
           static_cast<std::uint32_t>(half(a >> 16) * half(b >> 16));
  }
  static CLIPON_ALWAYS_INLINE void store_sum(void* p, Sum sum) { store(p, sum); }
  template <int bits>
  static CLIPON_ALWAYS_INLINE Integers shift_down(Sum sum) {  // as of signed numbers
    return static_cast<std::int32_t>(sum) >> bits;
  }
};

#if defined(__SSE2__)
template <class Arch>
struct I16<Arch, 128> {
  using Words = __m128i;
  using Sum = __v4su;
  using Integers = __m128i;
  static CLIPON_ALWAYS_INLINE Words load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static CLIPON_ALWAYS_INLINE void store(void* p, Words w) { _mm_storeu_si128(static_cast<__m128i*>(p), w); }
  static CLIPON_ALWAYS_INLINE Words broadcast(const void* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm_set1_epi32(pair);
  }
  static CLIPON_ALWAYS_INLINE void forget(Words& w) { __asm__("" : "+x"(w)); }
  static CLIPON_ALWAYS_INLINE Words add(Words a, Words b) { return _mm_add_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words subtract(Words a, Words b) { return _mm_sub_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words swap_neighbours(Words w) { return _mm_shuffle_epi32(w, 0xb1); }  // of 32 bits
  static CLIPON_ALWAYS_INLINE Sum set(std::uint32_t x) { return Sum{x, x, x, x}; }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return reinterpret_cast<Sum>(load(p)); }
  static CLIPON_ALWAYS_INLINE Sum dot(Words a, Words b, Sum sum) {
    return sum + reinterpret_cast<Sum>(_mm_madd_epi16(a, b));
  }
  static CLIPON_ALWAYS_INLINE void store_sum(void* p, Sum sum) { store(p, reinterpret_cast<__m128i>(sum)); }
  template <int bits>
  static CLIPON_ALWAYS_INLINE Integers shift_down(Sum sum) {  // as of signed numbers
    return reinterpret_cast<__m128i>(reinterpret_cast<__v4si>(sum) >> bits);
  }
};
#endif

#if defined(__aarch64__)
template <class Arch>
struct I16<Arch, 128> {
  using Words = int16x8_t;
  using Sum = uint32x4_t;
  using Integers = int32x4_t;
  static CLIPON_ALWAYS_INLINE Words load(const void* p) {
    return vreinterpretq_s16_u8(vld1q_u8(static_cast<const std::uint8_t*>(p)));
  }
  static CLIPON_ALWAYS_INLINE void store(void* p, Words w) {
    vst1q_u8(static_cast<std::uint8_t*>(p), vreinterpretq_u8_s16(w));
  }
  static CLIPON_ALWAYS_INLINE Words broadcast(const void* p) {
    std::uint32_t pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return vreinterpretq_s16_u32(vdupq_n_u32(pair));
  }
  static CLIPON_ALWAYS_INLINE void forget(Words& w) { __asm__("" : "+w"(w)); }
  static CLIPON_ALWAYS_INLINE Words add(Words a, Words b) { return vaddq_s16(a, b); }
  static CLIPON_ALWAYS_INLINE Words subtract(Words a, Words b) { return vsubq_s16(a, b); }
  static CLIPON_ALWAYS_INLINE Words swap_neighbours(Words w) {
    return vreinterpretq_s16_s32(vrev64q_s32(vreinterpretq_s32_s16(w)));
  }
  static CLIPON_ALWAYS_INLINE Sum set(std::uint32_t x) { return vdupq_n_u32(x); }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return vreinterpretq_u32_s16(load(p)); }
  static CLIPON_ALWAYS_INLINE Sum dot(Words a, Words b, Sum sum) {
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, vmull_high_s16(a, b))));
  }
  static CLIPON_ALWAYS_INLINE void store_sum(void* p, Sum sum) { store(p, vreinterpretq_s16_u32(sum)); }
  template <int bits>
  static CLIPON_ALWAYS_INLINE Integers shift_down(Sum sum) {  // as of signed numbers
    return vshrq_n_s32(vreinterpretq_s32_u32(sum), bits);
  }
};
#endif

#if defined(__AVX2__)
template <class Arch>
struct I16<Arch, 256> {
  using Words = __m256i;
  using Sum = __v8su;  // not __m256i: g++ 12 keeps sums of that type on the stack
  using Integers = __m256i;
  static CLIPON_ALWAYS_INLINE Words load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static CLIPON_ALWAYS_INLINE void store(void* p, Words w) { _mm256_storeu_si256(static_cast<__m256i*>(p), w); }
  static CLIPON_ALWAYS_INLINE Words broadcast(const void* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  static CLIPON_ALWAYS_INLINE void forget(Words& w) { __asm__("" : "+x"(w)); }
  static CLIPON_ALWAYS_INLINE Words add(Words a, Words b) { return _mm256_add_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words subtract(Words a, Words b) { return _mm256_sub_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words swap_neighbours(Words w) { return _mm256_shuffle_epi32(w, 0xb1); }
  static CLIPON_ALWAYS_INLINE Sum set(std::uint32_t x) { return Sum{x, x, x, x, x, x, x, x}; }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return reinterpret_cast<Sum>(load(p)); }
  static CLIPON_ALWAYS_INLINE Sum dot(Words a, Words b, Sum sum) {
    return sum + reinterpret_cast<Sum>(_mm256_madd_epi16(a, b));
  }
  static CLIPON_ALWAYS_INLINE void store_sum(void* p, Sum sum) { store(p, reinterpret_cast<__m256i>(sum)); }
  template <int bits>
  static CLIPON_ALWAYS_INLINE Integers shift_down(Sum sum) {  // as of signed numbers
    return reinterpret_cast<__m256i>(reinterpret_cast<__v8si>(sum) >> bits);
  }
};
#endif

#if defined(__AVX512BW__)
template <class Arch>
struct I16<Arch, 512> {
  using Words = __m512i;
  using Sum = __v16su;  // not __m512i: g++ 12 keeps sums of that type on the stack
  using Integers = __m512i;
  static CLIPON_ALWAYS_INLINE Words load(const void* p) { return _mm512_loadu_si512(p); }
  static CLIPON_ALWAYS_INLINE void store(void* p, Words w) { _mm512_storeu_si512(p, w); }
  static CLIPON_ALWAYS_INLINE Words broadcast(const void* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static CLIPON_ALWAYS_INLINE void forget(Words& w) { __asm__("" : "+v"(w)); }
  static CLIPON_ALWAYS_INLINE Words add(Words a, Words b) { return _mm512_add_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words subtract(Words a, Words b) { return _mm512_sub_epi16(a, b); }
  static CLIPON_ALWAYS_INLINE Words swap_neighbours(Words w) {
    return _mm512_maskz_shuffle_epi32(F32<Arch>::kAll, w, static_cast<_MM_PERM_ENUM>(0xb1));
  }
  static CLIPON_ALWAYS_INLINE Sum set(std::uint32_t x) { return Sum{} + x; }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const void* p) { return reinterpret_cast<Sum>(load(p)); }
  static CLIPON_ALWAYS_INLINE Sum dot(Words a, Words b, Sum sum) {
#if defined(__AVX512VNNI__)
    if constexpr (Arch::has_byte_dot)
      return reinterpret_cast<Sum>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), a, b));
#endif
    return sum + reinterpret_cast<Sum>(_mm512_madd_epi16(a, b));
  }
  static CLIPON_ALWAYS_INLINE void store_sum(void* p, Sum sum) {
    store(p, reinterpret_cast<__m512i>(sum));
  }
  template <int bits>
  static CLIPON_ALWAYS_INLINE Integers shift_down(Sum sum) {  // as of signed numbers
    return reinterpret_cast<__m512i>(reinterpret_cast<__v16si>(sum) >> bits);
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

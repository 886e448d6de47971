// F32<Arch> on AArch64: a register of four floats.  Layer 1; vector.hpp, which says what each function means, includes
// it.  Every AArch64 has these instructions (Advanced SIMD), fused multiply-add among them.
#pragma once

#if defined(__aarch64__)
#include <arm_neon.h>

#include <xsimd/xsimd.hpp>
#endif

#include "clipon/core/types.hpp"
#include "clipon/simd/arch.hpp"
#include "clipon/simd/vector_part.hpp"

namespace clipon::inline CLIPON_ABI::simd {

template <class Arch, int bits>
struct F32;

#if defined(__aarch64__)
template <class Arch>
struct F32<Arch, 128> : PartThroughMemory<Arch, xsimd::batch<float, xsimd::neon64>> {
  using Batch = xsimd::batch<float, xsimd::neon64>;
  static constexpr index_t width = 4;
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return vld1q_f32(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch v) { vst1q_f32(p, v); }
  static CLIPON_ALWAYS_INLINE void forget(Batch& v) { __asm__("" : "+w"(v.data)); }
  static CLIPON_ALWAYS_INLINE Batch set(float x) { return vdupq_n_f32(x); }
  static CLIPON_ALWAYS_INLINE Batch fma(Batch a, Batch b, Batch c) { return vfmaq_f32(c, a, b); }
  static CLIPON_ALWAYS_INLINE Batch fnma(Batch a, Batch b, Batch c) { return vfmsq_f32(c, a, b); }
  // not FMAX and FMIN, which give NaN for NaN and any number: as the definitions, the second operand is taken then
  static CLIPON_ALWAYS_INLINE Batch max(Batch a, Batch b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static CLIPON_ALWAYS_INLINE Batch min(Batch a, Batch b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static CLIPON_ALWAYS_INLINE Batch where_greater(Batch a, Batch b, Batch x, Batch y) {
    return vbslq_f32(vcgtq_f32(a, b), x, y);
  }
  static CLIPON_ALWAYS_INLINE float sum(Batch v) { return vaddvq_f32(v); }
  static CLIPON_ALWAYS_INLINE Batch sums(const Batch (&v)[4]) {
    return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3]));
  }
  static CLIPON_ALWAYS_INLINE float greatest(Batch v) { return vmaxnmvq_f32(v); }
  static CLIPON_ALWAYS_INLINE Batch quotient(Batch x, Batch y) { return vdivq_f32(x, y); }
  static CLIPON_ALWAYS_INLINE Batch about_inverse(Batch x) { return vdivq_f32(vdupq_n_f32(1.0f), x); }
  static CLIPON_ALWAYS_INLINE Batch round(Batch v) { return vrndnq_f32(v); }
  static CLIPON_ALWAYS_INLINE Batch scale(Batch v, Batch n) {
    const int32x4_t exponent = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23);
    return vmulq_f32(v, vreinterpretq_f32_s32(exponent));
  }
  static CLIPON_ALWAYS_INLINE Batch from_f16(const std::uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  static CLIPON_ALWAYS_INLINE Batch from_bf16(const std::uint16_t* p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(p)), 16));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i8(const std::int8_t* p) {
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(four_bytes(p))))));
  }
  static CLIPON_ALWAYS_INLINE Batch from_i32(const std::int32_t* p) { return vcvtq_f32_s32(vld1q_s32(p)); }
  static CLIPON_ALWAYS_INLINE Batch from_u8(const std::uint8_t* p) {
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(four_bytes(p))))));
  }
  static CLIPON_ALWAYS_INLINE void store_pairs(std::uint32_t* p, const std::uint16_t* low, const std::uint16_t* high) {
    vst1q_u32(p, vorrq_u32(vmovl_u16(vld1_u16(low)), vshlq_n_u32(vmovl_u16(vld1_u16(high)), 16)));
  }
  // four elements of each row, those of a column together
  static CLIPON_ALWAYS_INLINE void store_fours(std::uint16_t* p, const std::uint16_t* a, const std::uint16_t* b,
                                               const std::uint16_t* c, const std::uint16_t* d) {
    const uint16x4x4_t rows = {{vld1_u16(a), vld1_u16(b), vld1_u16(c), vld1_u16(d)}};
    vst4_u16(p, rows);
  }
  static CLIPON_ALWAYS_INLINE void store_bf16(std::uint16_t* p, Batch v) {
#if defined(CLIPON_COMPILED_MMLA)
    if constexpr (Arch::has_bf16) return vst1_u16(p, std::bit_cast<uint16x4_t>(vcvt_bf16_f32(v)));
#endif
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));  // of NaN, which rounding could carry past itself
    vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16));
  }

 private:
  static CLIPON_ALWAYS_INLINE uint32x2_t four_bytes(const void* p) {
    std::uint32_t bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return vdup_n_u32(bytes);
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

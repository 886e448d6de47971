// int8 products on AArch64 with SDOT alone: four bytes of each column of W times four of a row of A, which the
// instruction takes from a lane of a register, so that nothing is broadcast.  Called by gemm.hpp.  Per ISA.  Arm
// Architecture Reference Manual: SDOT (by element).
//
// SDOT multiplies signed bytes, and A's are 0 .. 255.  So u - 128 is multiplied, which is u with its top bit flipped,
// and the sums begin with the 128 times W's sums that this leaves out: the same whole numbers as everywhere.
#pragma once

#include "clipon/kernels/micro/product.hpp"

#if defined(CLIPON_COMPILED_DOT)
#include <arm_neon.h>

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
struct ProductI8<Arch, ByteProduct::by_lanes> : RowsAlone {
  using Sum = int32x4_t;
  struct Register {  // of W: two steps
    int8x16_t first;
    int8x16_t last;
  };
  static constexpr DataType type = DataType::i8;
  static constexpr index_t steps_together = 2;
  static constexpr index_t panel_value = 4;
  static constexpr index_t row = gemm_columns<Arch> * 4;  // bytes of a step of the panel
  static CLIPON_ALWAYS_INLINE Register load(const void* p) {
    const auto* w = static_cast<const std::int8_t*>(p);
    return {vld1q_s8(w), vld1q_s8(w + row)};
  }
  /// Two steps of a row of A.
  static CLIPON_ALWAYS_INLINE int8x8_t broadcast(const void* p) {
    return vreinterpret_s8_u8(veor_u8(vld1_u8(static_cast<const std::uint8_t*>(p)), vdup_n_u8(0x80)));
  }
  static CLIPON_ALWAYS_INLINE Sum zero() { return vdupq_n_s32(0); }
  /// What the sums of W's columns begin with.
  static CLIPON_ALWAYS_INLINE Sum start(const float* column_sum) {
    return vshlq_n_s32(vcvtq_s32_f32(vld1q_f32(column_sum)), 7);
  }
  static CLIPON_ALWAYS_INLINE Sum add(int8x8_t a, const Register& w, Sum sum) {
    return vdotq_lane_s32(vdotq_lane_s32(sum, w.first, a, 0), w.last, a, 1);
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) { vst1q_s32(p, sum); }
};

}  // namespace clipon::inline CLIPON_ABI::kernels
#endif

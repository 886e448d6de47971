// Products of two rows of A with two columns of W an instruction, as AArch64 has them since Armv8.6: USMMLA for bytes,
// BFMMLA for bf16.  Called by gemm.hpp.  Per ISA.  Arm Architecture Reference Manual: USMMLA (vector), BFMMLA.
//
// A register of A holds 64 bits of a row and 64 of the next, one of W 64 bits each of two columns, one of sums two by
// two.  Where another product has four columns of row r in sum[r][v], these have in sum[r][v] and sum[r + 1][v], r
// even, the first two and the last two of these columns, of both rows, until apart() makes a row of each.
#pragma once

#include "clipon/kernels/micro/product.hpp"

#if defined(CLIPON_COMPILED_MMLA)
#include <arm_neon.h>

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
struct TwoRows {
  using Register = uint8x16_t;
  static constexpr bool by_two_rows = true;
  static constexpr int registers = 2;
  static constexpr index_t steps_together = 1;
  static constexpr index_t step = 4 * panel_words<Arch>(DataType::i8);  // bytes
  static constexpr index_t panel_value = step;
  static CLIPON_ALWAYS_INLINE Register load(const void* p) { return vld1q_u8(static_cast<const std::uint8_t*>(p)); }
  static CLIPON_ALWAYS_INLINE Register broadcast(const void* p) {
    return vreinterpretq_u8_u32(vdupq_n_u32(load_32<Arch>(p)));
  }
  /// A step of two rows.
  static CLIPON_ALWAYS_INLINE Register load_rows(const unsigned char* row, const unsigned char* next) {
    return vcombine_u8(vld1_u8(row), vld1_u8(next));
  }
  template <class Sum>
  static CLIPON_ALWAYS_INLINE void apart(Sum& row, Sum& next) {
    const auto first = std::bit_cast<uint64x2_t>(row);
    const auto last = std::bit_cast<uint64x2_t>(next);
    row = std::bit_cast<Sum>(vzip1q_u64(first, last));
    next = std::bit_cast<Sum>(vzip2q_u64(first, last));
  }
};

template <class Arch>
struct ProductI8<Arch, ByteProduct::by_two_rows> : TwoRows<Arch> {
  using Sum = int32x4_t;
  using Register = typename TwoRows<Arch>::Register;
  static constexpr DataType type = DataType::i8;
  static CLIPON_ALWAYS_INLINE Sum zero() { return vdupq_n_s32(0); }
  static CLIPON_ALWAYS_INLINE Sum add(Register a, Register w, Sum sum) {
    return vusmmlaq_s32(sum, a, vreinterpretq_s8_u8(w));
  }
  static CLIPON_ALWAYS_INLINE void store(std::int32_t* p, Sum sum) { vst1q_s32(p, sum); }
};

template <class Arch>
struct ProductBf16<Arch, true> : TwoRows<Arch> {
  using Sum = float32x4_t;
  using Register = typename TwoRows<Arch>::Register;
  static constexpr DataType type = DataType::bf16;
  static CLIPON_ALWAYS_INLINE Sum zero() { return vdupq_n_f32(0.0f); }
  static CLIPON_ALWAYS_INLINE Sum add(Register a, Register w, Sum sum) {
    return vbfmmlaq_f32(sum, vreinterpretq_bf16_u8(a), vreinterpretq_bf16_u8(w));
  }
  static CLIPON_ALWAYS_INLINE Sum load_sum(const float* p) { return vld1q_f32(p); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Sum sum) { vst1q_f32(p, sum); }
};

}  // namespace clipon::inline CLIPON_ABI::kernels
#endif

// PartThroughMemory: the first n lanes of a register, where the instruction set has no masks (SSE2, NEON).  Layer 1;
// vector.hpp, which says what each function means, and vector_neon.hpp include it.
#pragma once

#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::simd {

/// `Arch` keeps the code of one instruction set out of another's; `Batch` is xsimd's batch of four floats.
template <class Arch, class Batch>
struct PartThroughMemory {
  using Register = typename Batch::register_type;
  static CLIPON_ALWAYS_INLINE Batch load_part(const float* p, index_t n) { return load_part_or(p, n, 0.0f); }
  static CLIPON_ALWAYS_INLINE Batch load_part_or(const float* p, index_t n, float other) {
    Register v;
    float lane[kLanes];
    for (index_t i = 0; i < kLanes; ++i) lane[i] = i < n ? p[i] : other;
    __builtin_memcpy(&v, lane, sizeof v);
    return v;
  }
  static CLIPON_ALWAYS_INLINE void store_part(float* p, Register v, index_t n) {
    float lane[kLanes];
    __builtin_memcpy(lane, &v, sizeof v);
    for (index_t i = 0; i < kLanes; ++i) {
      if (i < n) p[i] = lane[i];
    }
  }
  static CLIPON_ALWAYS_INLINE Batch keep(Register v, index_t n) {
    float lane[kLanes];
    __builtin_memcpy(lane, &v, sizeof v);
    return load_part(lane, n);
  }

 private:
  static constexpr index_t kLanes = 4;
};

}  // namespace clipon::inline CLIPON_ABI::simd

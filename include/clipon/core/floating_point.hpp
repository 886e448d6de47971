// The floating-point environment of a call: clipon's own while it computes, the caller's before and after.  Layer 0;
// used by Model's calls, by what computes between loops, and by the threads of parallel_for.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#else
#include <cfenv>
#endif

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

enum class Denormals : bool { kept, zero };

/// Rounding to nearest, no traps, denormals taken for zero unless they are kept; on destruction everything is as
/// before, status flags too. So results don't depend on what a caller (or a library linked with -ffast-math) has set,
/// worker threads agree with the thread that called, and weights full of denormals cost no more time than others.
class FloatingPointScope {
 public:
  FloatingPointScope(const FloatingPointScope&) = delete;
  FloatingPointScope& operator=(const FloatingPointScope&) = delete;
#if defined(__x86_64__)
  explicit FloatingPointScope(Denormals denormals = Denormals::zero) : before_(_mm_getcsr()) {
    // MXCSR: all exceptions masked (0x1f80), flush to zero (0x8000), denormals are zero (0x40); Intel SDM 1, 10.2.3
    _mm_setcsr(denormals == Denormals::zero ? 0x1f80u | 0x8000u | 0x0040u : 0x1f80u);
  }
  ~FloatingPointScope() {
    _mm_setcsr(before_);
  }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  explicit FloatingPointScope(Denormals denormals = Denormals::zero) {
    // FPCR: to nearest, no traps, denormals flushed to zero (bit 24); Arm ARM, C5.2.8.  FPSR: the status flags.
    const std::uint64_t control = denormals == Denormals::zero ? std::uint64_t{1} << 24 : 0;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr\n\tmsr fpcr, %2"
                     : "=&r"(control_), "=&r"(status_)
                     : "r"(control)
                     : "memory");
  }
  ~FloatingPointScope() {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(control_), "r"(status_) : "memory");
  }

 private:
  std::uint64_t control_;
  std::uint64_t status_;
#else
  explicit FloatingPointScope(Denormals /*denormals*/ = Denormals::zero) {
    std::feholdexcept(&before_);
    std::fesetround(FE_TONEAREST);
  }
  ~FloatingPointScope() {
    std::fesetenv(&before_);
  }

 private:
  std::fenv_t before_;
#endif
};

/// `value` as it is now, for a number that is returned out of a FloatingPointScope: compilers take rounding for a
/// constant, and may put off what is in registers until after the scope.
template <class T>
CLIPON_ALWAYS_INLINE T computed(T value) {
  __asm__ volatile("" : "+m"(value));
  return value;
}

}  // namespace clipon::inline CLIPON_ABI

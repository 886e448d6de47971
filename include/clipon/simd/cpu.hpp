// What this processor can do: CPUID for the instructions, XGETBV for the registers that the operating system saves.
// Layer 1.  (xsimd 8's detection asks CPUID alone, and a kernel without AVX-512 state would crash on it.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "clipon/core/config.hpp"
#include "clipon/options.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace clipon::inline CLIPON_ABI::simd {

struct CpuFeatures {
  std::string vendor;  // "GenuineIntel", "AuthenticAMD"; empty where unknown
  std::string brand;   // the marketing name, which a virtual machine may fake; "AArch64" there
  bool sse2 = false;
  bool avx2 = false;  // with FMA and F16C
  bool avx_vnni = false;
  bool avx512 = false;  // F + BW + DQ + VL
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool neon = false;
  bool neon_dot = false;   // four products of int8 a lane
  bool neon_i8mm = false;  // matrix products of int8 and of bf16
  bool amx = false;        // tile + bf16 + int8; the permission to use tiles is asked for later
};

#if defined(__x86_64__) || defined(__i386__)
inline std::uint64_t saved_register_state() {  // XCR0
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

inline std::string cpu_brand() {
  const auto highest = static_cast<unsigned>(__get_cpuid_max(0x80000000u, nullptr));  // clang declares it int
  if (highest < 0x80000004u) return {};
  std::string name;
  for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf) {
    unsigned r[4] = {};
    __get_cpuid(leaf, &r[0], &r[1], &r[2], &r[3]);
    name.append(reinterpret_cast<const char*>(r), sizeof r);
  }
  name.resize(name.find('\0') == std::string::npos ? name.size() : name.find('\0'));
  const auto last = name.find_last_not_of(' ');
  name.resize(last == std::string::npos ? 0 : last + 1);
  return name;
}
#endif

#if defined(__aarch64__)
#if defined(__APPLE__)
inline bool has_feature(const char* name) {
  int found = 0;
  std::size_t size = sizeof found;
  return ::sysctlbyname(name, &found, &size, nullptr, 0) == 0 && found != 0;
}
#endif

inline void detect_products(CpuFeatures& cpu) {
#if defined(__linux__)
  constexpr unsigned long matrix = 1ul << 13 | 1ul << 14;     // HWCAP2_I8MM, HWCAP2_BF16
  cpu.neon_dot = (::getauxval(AT_HWCAP) & (1ul << 20)) != 0;  // HWCAP_ASIMDDP
  cpu.neon_i8mm = (::getauxval(AT_HWCAP2) & matrix) == matrix;
#elif defined(__APPLE__)
  cpu.neon_dot = has_feature("hw.optional.arm.FEAT_DotProd");
  cpu.neon_i8mm = has_feature("hw.optional.arm.FEAT_I8MM") && has_feature("hw.optional.arm.FEAT_BF16");
#else
  (void)cpu;
#endif
}
#endif

inline CpuFeatures detect_cpu() {
  CpuFeatures cpu;
#if defined(__x86_64__) || defined(__i386__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (!__get_cpuid(0, &a, &b, &c, &d)) return cpu;
  const unsigned name[3] = {b, d, c};
  cpu.vendor.assign(reinterpret_cast<const char*>(name), sizeof name);
  cpu.brand = cpu_brand();
  const auto bit = [](unsigned word, int position) { return ((word >> position) & 1u) != 0; };

  __get_cpuid(1, &a, &b, &c, &d);
  cpu.sse2 = bit(d, 26);
  const bool fma = bit(c, 12);
  const bool f16c = bit(c, 29);
  const std::uint64_t saved = bit(c, 27) ? saved_register_state() : 0;  // OSXSAVE says that XGETBV exists
  const bool ymm = (saved & 0x6) == 0x6;                                // XMM and YMM
  const bool zmm = ymm && (saved & 0xe0) == 0xe0;                       // masks and both halves of ZMM
  const bool tiles = zmm && (saved & 0x60000) == 0x60000;               // TILECFG and TILEDATA

  unsigned b7 = 0;
  unsigned c7 = 0;
  unsigned d7 = 0;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return cpu;
  unsigned a71 = 0;
  if (a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  cpu.avx2 = ymm && bit(b7, 5) && fma && f16c;
  cpu.avx_vnni = cpu.avx2 && bit(a71, 4);
  cpu.avx512 = zmm && cpu.avx2 && bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31);
  cpu.avx512_vnni = cpu.avx512 && bit(c7, 11);
  cpu.avx512_bf16 = cpu.avx512_vnni && bit(a71, 5);
  cpu.amx = tiles && cpu.avx512_bf16 && bit(d7, 22) && bit(d7, 24) && bit(d7, 25);
#elif defined(__aarch64__)
  cpu.brand = "AArch64";
  cpu.neon = true;  // part of the architecture
  detect_products(cpu);
#endif
  return cpu;
}

/// Whether this process may use AMX's tiles.  Linux wants to be asked, once: from then on it keeps room for them in
/// each thread's saved state.  It refuses where a thread has too small a stack for signals.
inline bool tiles_permitted() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM, Linux 5.16
  constexpr long tile_data = 18;               // XFEATURE_XTILEDATA
  static const bool granted = ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return granted;
#else
  return false;
#endif
}

/// Whether VDPBF16PS is worth using: AMD's processors run it at twice the rate of f32 multiply-adds, Intel's at half
/// (107 against 215 GFLOP/s a core of Granite Rapids), where widening each pair and two multiply-adds are faster.
/// By the vendor alone: virtual machines fake family and model, and a timing could differ from run to run.
inline bool fast_bf16_dot(const CpuFeatures& cpu) {
  return cpu.vendor != "GenuineIntel";
}

inline bool supports(const CpuFeatures& cpu, Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
    case Isa::sse2:
      return cpu.sse2;
    case Isa::avx2:
      return cpu.avx2;
    case Isa::avx2_vnni:
      return cpu.avx_vnni;
    case Isa::avx512:
      return cpu.avx512;
    case Isa::avx512_vnni:
      return cpu.avx512_vnni;
    case Isa::avx512_bf16:
      return cpu.avx512_bf16;
    case Isa::amx:
      return cpu.amx;
    case Isa::neon:
      return cpu.neon;
    case Isa::neon_dot:
      return cpu.neon_dot;
    case Isa::neon_i8mm:
      return cpu.neon_i8mm;
    case Isa::best:
      return false;
  }
  return false;
}

}  // namespace clipon::inline CLIPON_ABI::simd

// What was found, built and picked, in words.  PUBLIC, layer 5.
#pragma once

#include <string>

#include "clipon/kernels/select.hpp"
#include "clipon/parallel/parallel_for.hpp"

namespace clipon::inline CLIPON_ABI {

struct CpuReport {
  std::string vendor;        ///< as CPUID says it
  std::string brand;         ///< as CPUID says it, and a virtual machine may fake it; "AArch64" there
  std::vector<Isa> built;    ///< kernels in this program
  std::vector<Isa> usable;   ///< of these, what the CPU and the operating system allow
  Isa picked = Isa::scalar;  ///< what Model::load takes with Isa::best
  std::string why;           ///< one sentence
  int threads = 1;           ///< what Model::load takes with threads = 0
};

/// Asks the system for AMX's tiles as loading a model in bf16 or int8 does (SECURITY.md).  Throws Error
/// invalid_argument or unsupported when CLIPON_ISA names what does not exist or does not run here.
[[nodiscard]] inline CpuReport cpu_report() {
  CpuReport report;
  const simd::CpuFeatures& cpu = kernels::this_cpu();
  report.vendor = cpu.vendor;
  report.brand = cpu.brand;
  for (int i = 0; i < static_cast<int>(Isa::best); ++i) {
    if (kernels::built_table(static_cast<Isa>(i)) != nullptr) report.built.push_back(static_cast<Isa>(i));
  }
  const Isa pinned = kernels::pinned_isa();
  report.usable = kernels::usable_isas(kernels::wants_tiles(pinned));
  report.picked = kernels::select_table(pinned).isa;
  report.why = kernels::reason(report.picked, pinned, report.built, report.usable, cpu);
  report.threads = parallel::available_threads();
  return report;
}

}  // namespace clipon::inline CLIPON_ABI

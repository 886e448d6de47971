// What was found, built and picked, in words.  PUBLIC, layer 5.
#pragma once

#include <string>

#include "clipon/kernels/select.hpp"
#include "clipon/parallel/parallel_for.hpp"

namespace clipon::inline CLIPON_ABI {

struct CpuReport {
  std::string vendor;        ///< as CPUID says it
  std::string brand;         ///< as CPUID says it; a virtual machine may fake it
  std::vector<Isa> built;    ///< kernels in this program
  std::vector<Isa> usable;   ///< of these, what the CPU and the operating system allow
  Isa picked = Isa::scalar;  ///< what Model::load takes with Isa::best
  std::string why;           ///< one sentence
  int threads = 1;           ///< what Model::load takes with threads = 0
};

inline CpuReport cpu_report() {
  CpuReport report;
  const simd::CpuFeatures cpu = simd::detect_cpu();
  report.vendor = cpu.vendor;
  report.brand = cpu.brand;
  for (int i = 0; i < static_cast<int>(Isa::best); ++i) {
    if (kernels::built_table(static_cast<Isa>(i)) != nullptr) report.built.push_back(static_cast<Isa>(i));
  }
  report.usable = kernels::usable_isas();
  report.picked = kernels::select_table(Isa::best).isa;
  const char* pinned = std::getenv("CLIPON_ISA");
  if (pinned != nullptr && *pinned != '\0') {
    report.why = "CLIPON_ISA asks for it";
  } else if (report.picked != report.usable.back()) {
    report.why = std::string("the highest but ") + simd::to_string(report.usable.back()) +
                 ", whose bf16 products are slower than those of f32 on this vendor's CPUs";
  } else {
    report.why = "the highest that this program holds and this CPU runs";
  }
  report.threads = parallel::available_threads();
  return report;
}

}  // namespace clipon::inline CLIPON_ABI

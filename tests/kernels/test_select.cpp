#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "support.hpp"

namespace {

using clipon::Isa;
using clipon::kernels::preferred_isa;

clipon::simd::CpuFeatures cpu_of(const char* vendor) {
  clipon::simd::CpuFeatures cpu;
  cpu.vendor = vendor;
  return cpu;
}

TEST_CASE("the highest instruction set runs, but not avx512_bf16 on Intel, where VDPBF16PS is slow") {
  const std::vector<Isa> without_amx = {Isa::sse2, Isa::avx2, Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16};
  std::vector<Isa> with_amx = without_amx;
  with_amx.push_back(Isa::amx);
  const std::vector<Isa> older = {Isa::sse2, Isa::avx2};
  CHECK(preferred_isa(without_amx, cpu_of("AuthenticAMD")) == Isa::avx512_bf16);
  CHECK(preferred_isa(without_amx, cpu_of("GenuineIntel")) == Isa::avx512_vnni);
  CHECK(preferred_isa(with_amx, cpu_of("GenuineIntel")) == Isa::amx);
  CHECK(preferred_isa(older, cpu_of("GenuineIntel")) == Isa::avx2);
  const std::vector<Isa> nothing_near = {Isa::scalar, Isa::sse2, Isa::avx512_bf16};
  CHECK(preferred_isa(nothing_near, cpu_of("GenuineIntel")) == Isa::avx512_bf16);
  const std::vector<Isa> header_only = {Isa::avx512_bf16};
  CHECK(preferred_isa(header_only, cpu_of("GenuineIntel")) == Isa::avx512_bf16);
}

TEST_CASE("a CPU runs the instruction sets that it has, and scalar code") {
  using clipon::simd::CpuFeatures;
  using clipon::simd::supports;
  const std::pair<Isa, bool CpuFeatures::*> features[] = {{Isa::sse2, &CpuFeatures::sse2},
                                                          {Isa::avx2, &CpuFeatures::avx2},
                                                          {Isa::avx2_vnni, &CpuFeatures::avx_vnni},
                                                          {Isa::avx512, &CpuFeatures::avx512},
                                                          {Isa::avx512_vnni, &CpuFeatures::avx512_vnni},
                                                          {Isa::avx512_bf16, &CpuFeatures::avx512_bf16},
                                                          {Isa::amx, &CpuFeatures::amx},
                                                          {Isa::neon, &CpuFeatures::neon},
                                                          {Isa::neon_dot, &CpuFeatures::neon_dot},
                                                          {Isa::neon_i8mm, &CpuFeatures::neon_i8mm}};
  for (const auto& [own, feature] : features) {
    CpuFeatures cpu;
    cpu.*feature = true;
    for (int i = 0; i <= static_cast<int>(Isa::best); ++i) {
      const Isa isa = static_cast<Isa>(i);
      CHECK(supports(cpu, isa) == (isa == own || isa == Isa::scalar));
    }
  }
}

#if defined(__x86_64__)
TEST_CASE("what the CPU is found to have is what the compiler's own detection finds") {
  const clipon::simd::CpuFeatures cpu = clipon::simd::detect_cpu();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  CHECK(cpu.sse2);
  CHECK(cpu.avx2 == avx2);
  CHECK(cpu.avx512 == avx512);
  CHECK(cpu.avx512_vnni == vnni);
  CHECK(cpu.avx512_bf16 == (vnni && __builtin_cpu_supports("avx512bf16")));
}
#endif

TEST_CASE("tiles are asked for where AMX may run, and not where another instruction set is pinned") {
  for (int i = 0; i <= static_cast<int>(Isa::best); ++i) {
    const Isa isa = static_cast<Isa>(i);
    CHECK(clipon::kernels::wants_tiles(isa) == (isa == Isa::amx || isa == Isa::best));
  }
}

TEST_CASE("the reason says what was pinned, what is slow and what the system refuses") {
  using clipon::kernels::reason;
  const std::vector<Isa> built = {Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16, Isa::amx};
  const std::vector<Isa> refused = {Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16};
  clipon::simd::CpuFeatures cpu = cpu_of("GenuineIntel");
  cpu.amx = true;
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(reason(Isa::amx, Isa::best, built, built, cpu) == "the highest that this program holds and this CPU runs");
  CHECK(has(reason(Isa::avx512_vnni, Isa::best, built, refused, cpu), "the highest but avx512_bf16"));
  CHECK(has(reason(Isa::avx512_vnni, Isa::best, built, refused, cpu), "refused by the system"));
  CHECK_FALSE(has(reason(Isa::avx512_vnni, Isa::best, refused, refused, cpu), "refused by the system"));
  CHECK(reason(Isa::avx512, Isa::avx512, built, built, cpu) == "CLIPON_ISA asks for it");
  cpu.amx = false;
  CHECK_FALSE(has(reason(Isa::avx512_vnni, Isa::best, built, refused, cpu), "refused by the system"));
}

TEST_CASE("what is pinned runs, whatever the vendor; the report tells what runs unasked") {
  for (const Isa isa : clipon::kernels::usable_isas()) CHECK(clipon::kernels::select_table(isa).isa == isa);
  const clipon::CpuReport report = clipon::cpu_report();
  CHECK(report.picked == clipon::kernels::select_table(Isa::best).isa);
  CHECK(report.why != "");
  CHECK(report.vendor == clipon::simd::detect_cpu().vendor);
  CHECK(report.threads == clipon::parallel::available_threads());
  for (const Isa isa : report.built) CHECK(clipon::kernels::built_table(isa) != nullptr);
  for (const Isa isa : report.usable) {
    CHECK(std::find(report.built.begin(), report.built.end(), isa) != report.built.end());
  }
}

TEST_CASE(
    "instruction sets are told by their names, and `best` is one; another name, and what is lacking, is refused") {
  using clipon::ErrorCode;
  const auto usable = clipon::kernels::usable_isas();
  for (int i = 0; i <= static_cast<int>(Isa::best); ++i) {
    const Isa isa = static_cast<Isa>(i);
    CHECK(clipon::kernels::parse_isa(clipon::to_string(isa)) == isa);
    if (isa == Isa::best || std::find(usable.begin(), usable.end(), isa) != usable.end()) continue;
    CHECK(support::code_of([&] { (void)clipon::kernels::select_table(isa); }) == ErrorCode::unsupported);
  }
  for (const char* name : {"", "avx", "Best", "avx2 "}) {
    CHECK(support::code_of([&] { (void)clipon::kernels::parse_isa(name); }) == ErrorCode::invalid_argument);
  }
}

TEST_CASE("CLIPON_ISA names what runs where the caller leaves it open; empty, it names nothing") {
  using namespace clipon::kernels;
  const char* name = "CLIPON_ISA";
  const char* set = std::getenv(name);
  const std::string before = set == nullptr ? "" : set;
  ::setenv(name, "scalar", 1);
  CHECK(select_table(Isa::best).isa == Isa::scalar);
  const Isa highest = usable_isas().back();
  CHECK(select_table(highest).isa == highest);
  ::setenv(name, "none", 1);
  CHECK(support::code_of([] { (void)select_table(Isa::best); }) == clipon::ErrorCode::invalid_argument);
  ::setenv(name, "", 1);
  CHECK(pinned_isa() == Isa::best);
  CHECK(select_table(Isa::best).isa == preferred_isa(usable_isas(), clipon::simd::detect_cpu()));
  set == nullptr ? ::unsetenv(name) : ::setenv(name, before.c_str(), 1);
}

}  // namespace

#include <doctest/doctest.h>

#include <clipon/clipon.hpp>

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
  const std::vector<Isa> header_only = {Isa::avx512_bf16};
  CHECK(preferred_isa(header_only, cpu_of("GenuineIntel")) == Isa::avx512_bf16);
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
}

}  // namespace

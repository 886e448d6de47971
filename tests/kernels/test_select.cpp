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

TEST_CASE("what is pinned runs, whatever the vendor; the report tells what runs unasked") {
  for (const Isa isa : clipon::kernels::usable_isas()) CHECK(clipon::kernels::select_table(isa).isa == isa);
  const clipon::CpuReport report = clipon::cpu_report();
  CHECK(report.picked == clipon::kernels::select_table(Isa::best).isa);
  CHECK(report.why != "");
}

}  // namespace

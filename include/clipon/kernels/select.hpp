// Picks the table of kernels: what was built, what this CPU has, what the caller pinned.  Layer 2; called by
// Model::load, search and cpu_report.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "clipon/error.hpp"
#include "clipon/kernels/table.hpp"
#include "clipon/options.hpp"
#include "clipon/parallel/parallel_for.hpp"
#include "clipon/simd/cpu.hpp"
#if !defined(CLIPON_DISPATCH)
#include "clipon/kernels/instantiate.hpp"
#endif

namespace clipon::inline CLIPON_ABI::kernels {

/// The table of `isa` if this program holds it, else null.
#if defined(CLIPON_DISPATCH)
const KernelTable* built_table(Isa isa);  // in libclipon_dispatch.a: cmake/tables.cpp.in
#else
inline const KernelTable* built_table(Isa isa) {
  return isa == simd::compiled::isa ? &kernel_table<simd::compiled>() : nullptr;
}
#endif

/// How many threads a caller gets who asks for so many, 0 being all that this process may use.  Throws Error
/// invalid_argument.
inline int thread_count(int asked) {
  if (asked < 0 || asked > kMaxThreads) {
    throw Error(ErrorCode::invalid_argument,
                "threads: expected 0 to " + std::to_string(kMaxThreads) + ", found " + std::to_string(asked));
  }
  return asked > 0 ? asked : parallel::available_threads();
}

/// This CPU, asked once: in a virtual machine each CPUID is a call of the host.
inline const simd::CpuFeatures& this_cpu() {
  static const simd::CpuFeatures cpu = simd::detect_cpu();
  return cpu;
}

/// The instruction sets that this program holds and this CPU runs, lowest first.  Where AMX's `tiles` are wanted, it
/// is among them only if the system grants them.
inline std::vector<Isa> usable_isas(bool tiles = true) {
  std::vector<Isa> usable;
  for (int i = 0; i < static_cast<int>(Isa::best); ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (built_table(isa) == nullptr || !simd::supports(this_cpu(), isa)) continue;
    if (isa != Isa::amx || !tiles || simd::tiles_permitted()) usable.push_back(isa);
  }
  return usable;
}

/// The one of `usable` to run where none is pinned: the highest, but not avx512_bf16 where its one instruction more is
/// slow.  usable: lowest first, not empty.
inline Isa preferred_isa(const std::vector<Isa>& usable, const simd::CpuFeatures& cpu) {
  if (usable.back() != Isa::avx512_bf16 || simd::fast_bf16_dot(cpu) || usable.size() < 2) return usable.back();
  const Isa next = usable[usable.size() - 2];
  return next == Isa::avx512 || next == Isa::avx512_vnni ? next : usable.back();  // others cost more than they save
}

/// Why `picked` of `usable` runs, in words.  built: what this program holds.
inline std::string reason(Isa picked, Isa pinned, const std::vector<Isa>& built, const std::vector<Isa>& usable,
                          const simd::CpuFeatures& cpu) {
  if (pinned != Isa::best) return "CLIPON_ISA asks for it";
  std::string why = "the highest that this program holds and this CPU runs";
  if (picked != usable.back()) {
    why = std::string("the highest but ") + to_string(usable.back()) +
          ", whose bf16 products are slower than those of f32 on this vendor's CPUs";
  }
  if (cpu.amx && built.back() == Isa::amx && usable.back() != Isa::amx) {
    why +=
        "; AMX's tiles, which the CPU has, are refused by the system: Linux before 5.16, or a signal stack too small";
  }
  return why;
}

inline Isa parse_isa(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Isa::best); ++i) {
    if (name == to_string(static_cast<Isa>(i))) return static_cast<Isa>(i);
  }
  throw Error(ErrorCode::invalid_argument,
              "instruction set: expected scalar, sse2, avx2, avx2_vnni, avx512, avx512_vnni, avx512_bf16, amx, neon, "
              "neon_dot, neon_i8mm or best, found '" +
                  std::string(name) + "'");
}

/// The instruction set that CLIPON_ISA in the environment names; best where it names none.
/// Throws Error invalid_argument.
inline Isa pinned_isa() {
  const char* name = std::getenv("CLIPON_ISA");
  return name == nullptr || *name == '\0' ? Isa::best : parse_isa(name);
}

/// Whether AMX's tiles are to be asked for: not where something else is pinned.
constexpr bool wants_tiles(Isa wanted) {
  return wanted == Isa::best || wanted == Isa::amx;
}

/// The table to run: `wanted`, where that is `best` the one that CLIPON_ISA names, else the preferred one.
/// `tiles`: whether bf16 or int8 products are to come, the only ones that use AMX; without them, or where something
/// else is pinned, the system is not asked for it.  Throws Error unsupported when this program or this CPU lacks what
/// was pinned.
inline const KernelTable& select_table(Isa wanted, bool tiles = true) {
  if (wanted == Isa::best) wanted = pinned_isa();
  const std::vector<Isa> usable = usable_isas(tiles && wants_tiles(wanted));
  if (wanted == Isa::best && !usable.empty()) return *built_table(preferred_isa(usable, this_cpu()));
  for (const Isa isa : usable) {
    if (isa == wanted) return *built_table(isa);
  }
  std::string have;
  for (const Isa isa : usable) have += std::string(have.empty() ? "" : ", ") + to_string(isa);
  throw Error(ErrorCode::unsupported, std::string("instruction set ") + to_string(wanted) +
                                          ": expected one that this program holds and this CPU runs (" +
                                          (have.empty() ? "none" : have) + ")");
}

/// The type of `precision`'s weights; kernels/table.hpp's operand_type is that of the rows.
constexpr DataType product_type(Precision precision) {
  return precision == Precision::int8 ? DataType::i8 : precision == Precision::bf16 ? DataType::bf16 : DataType::f32;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

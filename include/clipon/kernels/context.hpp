// What a layer computes with.  Layer 2.
#pragma once

#include "clipon/kernels/profile.hpp"
#include "clipon/kernels/table.hpp"
#include "clipon/parallel/parallel_for.hpp"
#include "clipon/tensor/weight_memory.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// What a layer computes with: the ISA's kernels and the threads of this call.
struct Context {
  const KernelTable* kernels = nullptr;
  parallel::Threads threads;
  Profile* profile = nullptr;      // where operators tell their time; null: nowhere
  WeightMemory* memory = nullptr;  // where packed weights go; null: each matrix into memory of its own
  float* pair_memory = nullptr;  // what products of rows in pairs work in (kernels/strassen.hpp); null: there are none

  /// The same on the calling thread alone; no rows in pairs, which have one such memory.
  [[nodiscard]] Context alone() const { return {kernels, {1}, profile, memory}; }
  /// One operator, timed until the end of the scope; times and calls are filled in.
  [[nodiscard]] ProfileSpan timed(const OperatorTime& operation) const { return {profile, threads.count, operation}; }
};

}  // namespace clipon::inline CLIPON_ABI::kernels

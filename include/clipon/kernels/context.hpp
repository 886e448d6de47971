// What a layer computes with.  Layer 2.
#pragma once

#include <string>

#include "clipon/error.hpp"
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

  /// The same on the calling thread alone.  Without pair_memory, which is one for all threads: no rows in pairs.
  [[nodiscard]] Context alone() const { return {kernels, {1}, profile, memory}; }
  /// body(context) on this thread, with a team that stays for all of its loops.
  template <class Body>
  void in_a_team(const Body& body) const {
    parallel::in_a_team(threads, [&](parallel::Threads team) {
      Context own = *this;
      own.threads = team;
      body(own);
    });
  }
  /// One operator, timed until the end of the scope; times and calls are filled in.
  [[nodiscard]] ProfileSpan timed(const OperatorTime& operation) const { return {profile, threads.count, operation}; }
};

/// Whoever calls a product says here what its rows are and what it computes in: kernels leave the outputs of a type
/// that their ISA has no product of as they were.  Throws Error unsupported where the two differ.
inline void check_rows(DataType found, DataType expected) {
  if (found == expected) return;
  throw Error(ErrorCode::unsupported,
              std::string("rows of a product: expected ") + to_string(expected) + ", found " + to_string(found));
}

}  // namespace clipon::inline CLIPON_ABI::kernels

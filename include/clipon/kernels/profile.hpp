// Where the time of a call goes, by operator: what `clipon bench --profile` prints.  Layer 2.
// A Context carries a pointer to a Profile, null unless LoadOptions::profile asks for one; then an operator costs one
// comparison more.
#pragma once

#include <chrono>
#include <mutex>
#include <new>
#include <vector>

#include "clipon/core/types.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI {

/// Sums over all calls of one operator on one shape.
struct OperatorTime {
  const char* name = "";          // a literal: "gemm", "attention", ...
  DataType type = DataType::f32;  // that it computes in, or writes
  index_t outputs = 0;            // columns of its result
  index_t inputs = 0;             // length of its sums, where it is a product, else 0
  std::int64_t calls = 0;
  double rows = 0.0;
  double operations = 0.0;      // 2 a product; 0 where they are not products
  double thread_seconds = 0.0;  // wall time times the threads that the operator could use
};

/// Filled by the calls of a model that was loaded with it, from any thread.
class Profile {
 public:
  void add(const OperatorTime& time) {
    const std::lock_guard lock(mutex_);
    for (OperatorTime& sum : times_) {
      if (sum.name != time.name || sum.type != time.type || sum.outputs != time.outputs || sum.inputs != time.inputs) {
        continue;
      }
      sum.calls += time.calls;
      sum.rows += time.rows;
      sum.operations += time.operations;
      sum.thread_seconds += time.thread_seconds;
      return;
    }
    times_.push_back(time);
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    times_.clear();
  }
  [[nodiscard]] std::vector<OperatorTime> times() const {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<OperatorTime> times_;
};

namespace kernels {

/// Times the operator whose scope it stands in.
class ProfileSpan {
 public:
  /// `operation` holds everything but the time and the number of calls.
  ProfileSpan(Profile* profile, int threads, const OperatorTime& operation)
      : profile_(profile), threads_(threads), operation_(operation) {
    if (profile_ != nullptr) start_ = std::chrono::steady_clock::now();
  }
  ProfileSpan(const ProfileSpan&) = delete;
  ProfileSpan& operator=(const ProfileSpan&) = delete;
  ~ProfileSpan() {
    if (profile_ == nullptr) return;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    operation_.calls = 1;
    operation_.thread_seconds = elapsed.count() * threads_;
    try {
      profile_->add(operation_);
    } catch (const std::bad_alloc&) {  // the operator has done its work: better no sample than no answer
    }
  }

 private:
  Profile* profile_;
  int threads_;
  OperatorTime operation_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace kernels

}  // namespace clipon::inline CLIPON_ABI

// parallel_for: run a body for 0..n-1 on some threads.  Layer 1; the only file with OpenMP pragmas.
//
// A model's loops run on its own threads (workers.hpp), those of calls without a model (search) on OpenMP's, or with
// -DCLIPON_PARALLEL=threads on new std::threads; compiled without either, the calling thread does it all.  Inside a
// parallel region of the caller's own it runs on the calling thread, so an application that parallelises over requests
// gets no nested teams.  In a process forked after a loop it starts std::threads: fork copies neither a model's nor
// libgomp's.  in_a_team: the same threads for all loops of a call.
#pragma once

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "clipon/core/floating_point.hpp"
#include "clipon/core/types.hpp"
#include "clipon/parallel/signals.hpp"
#include "clipon/parallel/workers.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

// Outside the ABI namespace: units of different flags share one libgomp, so they must agree about who forked.
namespace clipon::process {
#if defined(__unix__) || defined(__APPLE__)
/// True in a process that was forked from one in which a loop had run before.
inline bool forked_after_parallel() {
  static const pid_t first = ::getpid();
  return ::getpid() != first;
}
#else
inline bool forked_after_parallel() {
  return false;
}
#endif
}  // namespace clipon::process

namespace clipon::inline CLIPON_ABI::parallel {

#if CLIPON_PARALLEL_IS != CLIPON_PARALLEL_IS_serial
inline std::unique_ptr<Workers> make_workers() {
  return std::make_unique<Workers>();
}
#else
inline std::unique_ptr<Workers> make_workers() {  // a program that asks for no threads gets none
  return nullptr;
}
#endif

/// How many threads a call may use; 1 means: on the calling thread.
struct Threads {
  int count = 1;
  Team* team = nullptr;        // that does the loops; null: each loop has a team of its own
  Workers* workers = nullptr;  // of whom a team is made; null: of OpenMP's threads, or new ones
};

/// The exception of the lowest index, whichever thread met one first; rethrown where the loop was called.  Nobody will
/// see what indices above it do, so they are left out.
class FirstException {
 public:
  template <class Body>
  void run(index_t index, const Body& body) noexcept {
    if (index > lowest_.load(std::memory_order_relaxed)) return;
    try {
      body(index);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (index < lowest_.load(std::memory_order_relaxed)) {
        exception_ = std::current_exception();
        lowest_.store(index, std::memory_order_relaxed);
      }
    }
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr exception_;
  std::atomic<index_t> lowest_{std::numeric_limits<index_t>::max()};  // index of exception_
};

/// True inside a parallel region, where another one would only add threads.
inline bool inside_parallel_region() {
#if defined(_OPENMP)
  return omp_in_parallel() != 0;
#else
  return false;
#endif
}

/// Indices 0 .. n - 1 in shares of nearly the same size, one a thread.
struct Split {
  Split(index_t size, index_t team) : n(size), count(std::clamp<index_t>(team, 1, std::max(size, index_t{1}))) {}
  Split(index_t size, Threads threads) : Split(size, threads.count) {}
  [[nodiscard]] index_t first(index_t share) const { return share * n / count; }
  // the last share that begins at i or before
  [[nodiscard]] index_t of(index_t i) const { return ((i + 1) * count - 1) / n; }

  index_t n;
  index_t count;
};

/// Indices 0 .. n - 1 for a team: each thread begins with a share of its own, in order, since neighbours often read
/// what lies side by side; when it is done it helps with the others'.
class Shares {
 public:
  Shares(index_t n, index_t team) : split_(n, std::min(team, kMost)) {}

  /// What thread `t` does: body(index, t).
  template <class Body>
  void run(index_t t, const Body& body, FirstException& failure) {
    for (index_t s = 0; s < split_.count; ++s) {
      const index_t share = (t + s) % split_.count;
      const index_t first = split_.first(share);
      const index_t last = split_.first(share + 1);
      auto& taken = taken_[share].count;
      for (index_t i = first + taken++; i < last; i = first + taken++) {
        failure.run(i, [&](index_t index) { body(index, t); });
      }
    }
  }

 private:
  static constexpr index_t kMost = 64;  // larger teams begin two or more to a share
  struct alignas(64) Taken {            // a cache line each
    std::atomic<index_t> count{0};
  };
  Split split_;
  Taken taken_[kMost];
};

// work(t) for t in [0, count), the first on this thread, the others on std::threads of their own.  Where the system
// grants no more threads, those that there are do the work.
template <class Work>
void run_on_threads(index_t count, const Work& work) {
  std::vector<std::jthread> team;  // joined when it goes
  try {
    const SignalsBlocked in_the_threads;
    team.reserve(static_cast<std::size_t>(count - 1));
    for (index_t t = 1; t < count; ++t) team.emplace_back([&work, t] { work(t); });
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
  work(0);
}

// The same on OpenMP's threads where there are any; the system may grant fewer.
template <class Work>
void run_on_team([[maybe_unused]] index_t count, const Work& work) {
#if CLIPON_PARALLEL_IS == CLIPON_PARALLEL_IS_openmp
  if (process::forked_after_parallel()) return run_on_threads(count, work);
#pragma omp parallel num_threads(static_cast <int>(count))
  work(omp_get_thread_num());
#elif CLIPON_PARALLEL_IS == CLIPON_PARALLEL_IS_threads
  run_on_threads(count, work);
#else
  work(0);
#endif
}

// lead() on this thread, which dismisses the team in the end; team.follow(t) on others, as many as there are of
// count - 1.
template <class Lead>
void run_with_team(Threads threads, Team& team, const Lead& lead) {
  const auto work = [&](index_t t) { t == 0 ? lead() : team.follow(t); };
  if (threads.workers == nullptr) return run_on_team(threads.count, work);
  if (threads.workers->are_here()) return threads.workers->run(team, threads.count, lead);
  run_on_threads(threads.count, work);
}

/// body(threads) on this thread: those for its loops are a team that stays until it ends.
template <class Body>
void in_a_team(Threads threads, const Body& body) {
  const FloatingPointScope scope;  // what is between the loops must not depend on the caller's settings
  if (threads.count <= 1 || threads.team != nullptr || inside_parallel_region()) return body(threads);
  Team team;
  std::exception_ptr failure;
  run_with_team(threads, team, [&] {
    try {
      body(Threads{threads.count, &team});
    } catch (...) {
      failure = std::current_exception();
    }
    team.dismiss();
  });
  if (failure) std::rethrow_exception(failure);
}

/// body(i, thread) for i in [0, n), on at most `threads` threads, each index once, in no particular order; no two
/// bodies have the same `thread`, 0 .. threads - 1, at a time.  The body may throw: when all threads have ended, that
/// of the lowest index is rethrown.
template <class Body>
void parallel_for_on_threads(Threads threads, index_t n, const Body& body) {
  const int wanted = static_cast<int>(std::min<index_t>(threads.count, n));
  const bool free =
      threads.team == nullptr ? !inside_parallel_region() : threads.team->waits_for(std::this_thread::get_id());
  if (wanted <= 1 || !free) {
    const FloatingPointScope scope;
    for (index_t i = 0; i < n; ++i) body(i, index_t{0});
    return;
  }
  FirstException failure;
  Shares shares(n, wanted);
  in_a_team({wanted, threads.team, threads.workers},
            [&](Threads own) { own.team->run(wanted, [&](index_t t) { shares.run(t, body, failure); }); });
  failure.rethrow();
}

/// The same for bodies that need not know their thread: body(i).
template <class Body>
void parallel_for(Threads threads, index_t n, const Body& body) {
  parallel_for_on_threads(threads, n, [&](index_t i, index_t) { body(i); });
}

/// body(first, count) for rows 0..n-1 in ranges, one a thread, of at least `least` rows: fewer are not worth a thread.
template <class Body>
void parallel_ranges(Threads threads, index_t n, index_t least, const Body& body) {
  const Split ranges(n, std::min<index_t>(n / least, threads.count));
  parallel_for(threads, ranges.count, [&](index_t i) {
    const index_t first = ranges.first(i);
    body(first, ranges.first(i + 1) - first);
  });
}

/// CPUs that a cgroup v2's cpu.max allows, "quota period" in microseconds, rounded up; 0 where it sets no limit.
inline int quota_cpus(std::string_view cpu_max) {
  long long quota = 0;
  long long period = 0;
  const char* const end = cpu_max.data() + cpu_max.size();
  const auto first = std::from_chars(cpu_max.data(), end, quota);
  if (first.ec != std::errc() || first.ptr == end) return 0;  // "max"
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || quota <= 0 || period <= 0) return 0;
  const long long cpus = quota / period + (quota % period > 0 ? 1 : 0);
  return static_cast<int>(std::min<long long>(cpus, std::numeric_limits<int>::max()));
}

/// The CPUs that this process may use: its affinity mask, and no more than a container's quota (cgroup v2, the root
/// that the process sees), rounded up; 1 with CLIPON_PARALLEL=serial.
inline int available_threads() {
#if CLIPON_PARALLEL_IS == CLIPON_PARALLEL_IS_serial
  return 1;
#else
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = CPU_COUNT(&mask);
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    char line[64] = {};
    const int allowed = std::fgets(line, sizeof line, file) != nullptr ? quota_cpus(line) : 0;
    if (allowed > 0 && allowed < count) count = allowed;
    std::fclose(file);
  }
#endif
  return count > 0 ? count : 1;
#endif
}

}  // namespace clipon::inline CLIPON_ABI::parallel

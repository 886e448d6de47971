// Team: threads that stay for a call and do its loops one after the other.  Layer 1; used by parallel_for.hpp, which
// starts the threads.
//
// Who waits spins for 30 to 100 microseconds, as long as cores that have nothing else to do need, then sleeps.
// OpenMP's threads spin for milliseconds at the end of each loop: where other work shares the cores, they use up the
// time slices that the very thread they wait for needs.  Nor does a loop wait for threads that the system has not let
// run yet: it ends when all of its indices are done.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "clipon/core/floating_point.hpp"
#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::parallel {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/// The first value that is wanted: spun for, then slept for.
template <class IsWanted>
int await(const std::atomic<int>& value, const IsWanted& is_wanted) {
  constexpr int spins = 2000;  // 30 to 100 microseconds
  int found = value.load();
  for (int i = 0; i < spins && !is_wanted(found); ++i) {
    relax();
    found = value.load();
  }
  while (!is_wanted(found)) {
    value.wait(found);
    found = value.load();
  }
  return found;
}

/// One thread leads: it runs loops, and dismisses the others in the end, which follow meanwhile.
class Team {
 public:
  /// True for the leader outside its loops.
  [[nodiscard]] bool waits_for(std::thread::id thread) const { return thread == leader_ && !is_open(state_.load()); }

  /// The leader's: work(t) on this thread, as t = 0, and on each follower t < threads that comes before this one is
  /// done.  Must not throw.
  template <class Work>
  void run(index_t threads, const Work& work) {
    call_ = [](const void* of, index_t t) { (*static_cast<const Work*>(of))(t); };
    work_ = std::addressof(work);
    threads_ = threads;
    ++state_;  // odd: open
    state_.notify_all();
    work(0);
    ++state_;  // even: closed
    await(busy_, [](int busy) { return busy == 0; });
  }

  /// The leader's last.
  void dismiss() {
    state_.store(kDismissed);
    state_.notify_all();
  }

  /// What any other thread does, of number t >= 1, until it is dismissed.
  void follow(index_t t) {
    const FloatingPointScope scope;
    for (int seen = 0; seen != kDismissed;) {
      seen = await(state_, [&](int state) { return state != seen; });
      if (!is_open(seen)) continue;
      ++busy_;  // from here on, and before it is looked at again: what is open now stays until this thread is done
      seen = state_.load();
      if (is_open(seen) && t < threads_) call_(work_, t);
      if (--busy_ == 0) busy_.notify_one();
    }
  }

 private:
  static constexpr int kDismissed = -2;

  static bool is_open(int state) { return state % 2 == 1; }

  alignas(64) std::atomic<int> state_{0};  // two a job; only the leader changes it.  On the same line what the job is
  void (*call_)(const void*, index_t) = nullptr;
  const void* work_ = nullptr;
  index_t threads_ = 0;
  const std::thread::id leader_ = std::this_thread::get_id();
  alignas(64) std::atomic<int> busy_{0};  // followers that look at a job
};

}  // namespace clipon::inline CLIPON_ABI::parallel

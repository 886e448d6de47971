// Workers: a model's threads, asleep until a call takes some of them for its team.  Layer 1; used by parallel_for.hpp,
// owned by a Model.
//
// OpenMP's threads spin for milliseconds between two regions, and a region ends only when all of its threads have run.
// Where other work shares the cores, each call then waits for the system's time slice (8 ms), however short it is.
// These sleep, so that the system lets them run soon when they are woken, and a call does not wait for one that has not
// begun.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "clipon/core/process.hpp"
#include "clipon/core/types.hpp"
#include "clipon/parallel/signals.hpp"
#include "clipon/parallel/team.hpp"

namespace clipon::inline CLIPON_ABI::parallel {

/// One of the threads: asleep, or in a team.
class alignas(64) Worker {
 public:
  Worker() : thread_([this] { live(); }) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    set_state(kEnding);
    thread_.join();
  }

  /// The leader's: this thread will be number `t` of the team.
  void enter(Team& team, index_t t) {
    team_ = &team;
    number_ = t;
    set_state(kCalled);
  }

  /// The leader's, after the team was dismissed: it is not in the team any more, or never was.
  void leave() {
    int found = kCalled;
    if (state_.compare_exchange_strong(found, kAsleep)) return;  // it has not even begun
    await(state_, [](int now) { return now == kAsleep; });
  }

  Worker* next = nullptr;         // in a list of them
  std::unique_ptr<Worker> older;  // in that of all

 private:
  static constexpr int kAsleep = 0;
  static constexpr int kCalled = 1;
  static constexpr int kInTeam = 2;
  static constexpr int kEnding = 3;

  void set_state(int state) {
    state_.store(state);
    state_.notify_all();
  }

  void live() {
    for (;;) {
      int found = await(state_, [](int now) { return now == kCalled || now == kEnding; });
      if (found == kEnding) return;
      if (!state_.compare_exchange_strong(found, kInTeam)) continue;  // the leader did without
      team_->follow(number_);
      set_state(kAsleep);
    }
  }

  std::atomic<int> state_{kAsleep};
  Team* team_ = nullptr;
  index_t number_ = 0;
  std::thread thread_;  // last: it reads the others
};

class Workers {
 public:
  Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    if (!are_here()) {
      (void)all_.release();  // fork copied the objects, not the threads: nothing can be joined
      return;
    }
    while (all_ != nullptr) all_ = std::move(all_->older);
  }

  /// False in a process that was forked from the one that made this.
  [[nodiscard]] bool are_here() const { return process_.is_here(); }

  /// lead() on this thread, which must dismiss the team; `team.follow` on up to count - 1 of the workers.
  template <class Lead>
  void run(Team& team, index_t count, const Lead& lead) {
    Worker* const mine = take(count - 1);
    index_t t = 1;
    for (Worker* w = mine; w != nullptr; w = w->next) w->enter(team, t++);
    lead();
    for (Worker* w = mine; w != nullptr; w = w->next) w->leave();
    give_back(mine);
  }

 private:
  static constexpr int kMost = 4096;  // for all calls that run at a time

  // Idle ones, and new ones where there are too few; a list, of fewer where the system grants no more threads.
  Worker* take(index_t count) {
    const std::lock_guard lock(mutex_);
    Worker* list = nullptr;
    for (index_t i = 0; i < count; ++i) {
      Worker* one = idle_ != nullptr ? idle_ : start();
      if (one == nullptr) break;
      if (one == idle_) idle_ = idle_->next;
      one->next = list;
      list = one;
    }
    return list;
  }

  Worker* start() {
    if (count_ == kMost) return nullptr;
    const SignalsBlocked in_the_thread;
    try {
      auto made = std::make_unique<Worker>();
      made->older = std::move(all_);
      all_ = std::move(made);
      ++count_;
      return all_.get();
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
    return nullptr;
  }

  void give_back(Worker* list) {
    const std::lock_guard lock(mutex_);
    while (list != nullptr) {
      Worker* const next = list->next;
      list->next = idle_;
      idle_ = list;
      list = next;
    }
  }

  HomeProcess process_;
  std::mutex mutex_;
  std::unique_ptr<Worker> all_;  // a list
  int count_ = 0;                // in it
  Worker* idle_ = nullptr;       // a list of those that no call has
};

}  // namespace clipon::inline CLIPON_ABI::parallel

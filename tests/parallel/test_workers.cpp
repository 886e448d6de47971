#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): pthread_sigmask
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <clipon/parallel/parallel_for.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support.hpp"

using clipon::index_t;
using clipon::parallel::in_a_team;
using clipon::parallel::parallel_for;
using clipon::parallel::parallel_for_on_threads;
using clipon::parallel::Threads;
using clipon::parallel::Workers;

namespace {

// Whether each index of some loops is done once, written without atomics: the loops' ends order them.
bool loops_are_right(Threads threads, int loops) {
  bool right = true;
  for (int loop = 0; loop < loops; ++loop) {
    std::vector<int> times(50);
    parallel_for(threads, 50, [&](index_t i) { ++times[static_cast<std::size_t>(i)]; });
    right = right && times == std::vector<int>(50, 1);
  }
  return right;
}

// The threads of one loop, which all take part in.
std::set<std::thread::id> meet(Threads threads) {
  std::vector<std::thread::id> ids(static_cast<std::size_t>(threads.count));
  std::atomic<int> present{0};
  parallel_for(threads, threads.count, [&](index_t i) {
    ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    ++present;
    for (int k = 0; k < 10000 && present < threads.count; ++k)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  return {ids.begin(), ids.end()};
}

}  // namespace

TEST_CASE(
    "threads block the signals that the application may wait for, not those of faults and profilers; it does not") {
  const auto blocks = [](int signal) {
    sigset_t mask;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return ::sigismember(&mask, signal) == 1;
  };
  const auto caller = std::this_thread::get_id();
  std::atomic<int> others{0};
  std::atomic<int> present{0};
  const auto body = [&](index_t) {
    ++present;
    for (int k = 0; k < 10000 && present < 3; ++k) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (std::this_thread::get_id() == caller) return;
    ++others;
    for (const int waited_for : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM}) CHECK(blocks(waited_for));
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) CHECK_FALSE(blocks(own));
  };
  Workers workers;
  parallel_for({3, nullptr, &workers}, 3, body);
  CHECK(others == 2);
  others = present = 0;
  clipon::parallel::run_on_threads(3, body);
  CHECK(others == 2);
  CHECK_FALSE(blocks(SIGTERM));
}

TEST_CASE("a model's threads do the loops of many calls at a time, alone and in teams") {
  Workers workers;
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (int c = 0; c < 6; ++c) {
    callers.emplace_back([&] {
      const Threads threads{3, nullptr, &workers};
      for (int call = 0; call < 40; ++call) {
        right += loops_are_right(threads, 3) ? 1 : 0;
        in_a_team(threads, [&](Threads team) { right += loops_are_right(team, 10) ? 1 : 0; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(right == 6 * 40 * 2);
}

TEST_CASE("a second call has the threads of the first, and those that a call does not need stay asleep") {
  Workers workers;
  const Threads threads{4, nullptr, &workers};
  const auto first = meet(threads);
  CHECK(first.size() == 4);
  CHECK(first.contains(std::this_thread::get_id()));
  for (int i = 0; i < 20; ++i) CHECK(meet(threads) == first);
  std::atomic<index_t> greatest{0};
  parallel_for_on_threads(threads, 2, [&](index_t, index_t thread) {
    for (index_t found = greatest; found < thread && !greatest.compare_exchange_weak(found, thread);) {
    }
  });
  CHECK(greatest < 2);
}

TEST_CASE("what a loop on a model's threads throws comes to the caller, and the next loop works") {
  Workers workers;
  const Threads threads{2, nullptr, &workers};
  for (int round = 0; round < 3; ++round) {
    index_t thrown = -1;
    try {
      parallel_for(threads, 100, [](index_t i) {
        if (i >= 40) throw i;
      });
    } catch (const index_t& i) {
      thrown = i;
    }
    CHECK(thrown == 40);
    CHECK_THROWS_AS(in_a_team(threads, [](Threads) { throw std::runtime_error("body"); }), std::runtime_error);
    CHECK(loops_are_right(threads, 1));
  }
}

TEST_CASE("a child that is forked after a loop has loops too, and may let the threads go") {
#if defined(_OPENMP)
#pragma omp parallel num_threads(3)  // the application's: of these threads too the child has none
  std::this_thread::yield();
#endif
  std::optional<Workers> workers(std::in_place);
  REQUIRE(meet({3, nullptr, &*workers}).size() == 3);  // AddressSanitizer's child hangs where one is being born
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // a child that waits for threads which it has not
    const bool right = loops_are_right({3, nullptr, &*workers}, 2);
    workers.reset();
    ::_exit(right ? 0 : 1);
  }
  REQUIRE(child > 0);
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(loops_are_right({3, nullptr, &*workers}, 2));
}

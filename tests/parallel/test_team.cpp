#include <atomic>
#include <chrono>
#include <clipon/parallel/parallel_for.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support.hpp"

using clipon::index_t;
using clipon::parallel::in_a_team;
using clipon::parallel::parallel_for_on_threads;
using clipon::parallel::Threads;

TEST_CASE("each loop of a team does each index once, and is done before the next begins") {
  for (const int threads : {1, 2, 3, 9}) {
    CAPTURE(threads);
    in_a_team({threads}, [&](Threads team) {
      std::vector<int> before(100, 0);
      for (int loop = 1; loop <= 500; ++loop) {
        std::vector<int> times(100);  // written without atomics: the loop's end orders them
        std::vector<std::atomic<int>> at_once(static_cast<std::size_t>(threads));
        parallel_for_on_threads(team, 100, [&](index_t i, index_t thread) {
          REQUIRE(thread < threads);
          REQUIRE(at_once[static_cast<std::size_t>(thread)]++ == 0);
          times[static_cast<std::size_t>(i)] = before[static_cast<std::size_t>(99 - i)] + 1;
          --at_once[static_cast<std::size_t>(thread)];
        });
        REQUIRE(times == std::vector<int>(100, loop));
        before = times;
      }
    });
  }
}

TEST_CASE("a team's threads share a loop, though they have slept since the one before") {
  in_a_team({2}, [](Threads team) {
    for (int loop = 0; loop < 3; ++loop) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      std::atomic<int> present{0};
      std::atomic<bool> alone{false};
      parallel_for_on_threads(team, 2, [&](index_t, index_t) {
        ++present;
        for (int k = 0; k < 10000 && present < 2; ++k) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (present < 2) alone = true;
      });
      CHECK(!alone);
    }
  });
}

TEST_CASE("a loop asks for fewer threads than its team has; one within a loop, and a team within a team, add none") {
  in_a_team({3}, [](Threads team) {
    std::atomic<index_t> greatest{0};
    parallel_for_on_threads({2, team.team}, 50, [&](index_t, index_t thread) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      for (index_t found = greatest; found < thread && !greatest.compare_exchange_weak(found, thread);) {
      }
    });
    CHECK(greatest < 2);
    std::atomic<int> calls{0};
    in_a_team(team, [&](Threads same) {
      CHECK(same.team == team.team);
      parallel_for_on_threads(same, 4, [&](index_t, index_t) {
        parallel_for_on_threads(same, 5, [&](index_t, index_t thread) {
          CHECK(thread == 0);
          ++calls;
        });
      });
    });
    CHECK(calls == 20);
  });
}

TEST_CASE("what a team's body or its loop throws comes to the caller, and the next team works") {
  for (int round = 0; round < 3; ++round) {
    CHECK_THROWS_AS(in_a_team({2}, [](Threads) { throw std::runtime_error("body"); }), std::runtime_error);
    index_t thrown = -1;
    try {
      in_a_team({2}, [](Threads team) {
        clipon::parallel::parallel_for(team, 100, [](index_t i) {
          if (i >= 40) throw i;
        });
      });
    } catch (const index_t& i) {
      thrown = i;
    }
    CHECK(thrown == 40);
  }
}

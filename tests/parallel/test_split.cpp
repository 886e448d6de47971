#include <algorithm>
#include <atomic>
#include <chrono>
#include <clipon/parallel/parallel_for.hpp>
#include <thread>

#include "support.hpp"

TEST_CASE("an index belongs to the share that it lies in") {
  for (clipon::index_t n = 1; n < 40; ++n) {
    for (clipon::index_t team = 1; team < 45; ++team) {
      const clipon::parallel::Split split(n, team);
      CHECK(split.first(0) == 0);
      CHECK(split.first(split.count) == n);
      for (clipon::index_t i = 0; i < n; ++i) {
        const clipon::index_t share = split.of(i);
        REQUIRE(split.first(share) <= i);
        REQUIRE(i < split.first(share + 1));
      }
    }
  }
}

TEST_CASE("a loop that fails ends early, with the failure of the lowest index") {
  constexpr clipon::index_t n = 4000;
  for (const int threads : {1, 2, 3}) {
    std::atomic<clipon::index_t> done{0};
    clipon::index_t thrown = -1;
    try {
      clipon::parallel::parallel_for({threads}, n, [&](clipon::index_t i) {
        if (i % (n / 2) == 5) throw i;  // one in the first share, one in a later one
        std::this_thread::sleep_for(std::chrono::microseconds(10));
        ++done;
      });
    } catch (const clipon::index_t& i) {
      thrown = i;
    }
    CHECK(thrown == 5);
    CHECK(done < n - 2);
  }
}

TEST_CASE("of two that fail at a time, the lower index's failure is told, though the other's comes later") {
  clipon::index_t thrown = -1;
  std::atomic<bool> begun{false};  // the other; not where all are done on one thread
  std::atomic<bool> failing{false};
  const auto a_while = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  try {
    clipon::parallel::parallel_for({2}, 2, [&](clipon::index_t i) {
      if (i == 0) {
        for (int k = 0; k < 100 && !begun; ++k) a_while();
        failing = true;
      } else {
        begun = true;
        for (int k = 0; k < 1000 && !failing; ++k) a_while();
        for (int k = 0; k < 20; ++k) a_while();
      }
      throw i;
    });
  } catch (const clipon::index_t& i) {
    thrown = i;
  }
  CHECK(thrown == 0);
}

TEST_CASE("a team larger than the shares that a loop is cut into does each index once") {
  for (const clipon::index_t n : {65, 100, 1000}) {
    std::vector<std::atomic<int>> times(static_cast<std::size_t>(n));
    std::atomic<bool> strange{false};
    clipon::parallel::parallel_for_on_threads({100}, n, [&](clipon::index_t i, clipon::index_t thread) {
      ++times[static_cast<std::size_t>(i)];
      if (thread < 0 || thread >= 100) strange = true;
    });
    CHECK(!strange);
    for (const auto& count : times) REQUIRE(count == 1);
  }
}

TEST_CASE("ranges hold all rows in order, each as many as are worth a thread") {
  for (clipon::index_t n = 0; n < 40; ++n) {
    for (const clipon::index_t least : {1, 8}) {
      for (const int threads : {1, 3, 5}) {
        std::vector<std::atomic<clipon::index_t>> counts(static_cast<std::size_t>(n + 1));  // of what begins there
        clipon::parallel::parallel_ranges({threads}, n, least, [&](clipon::index_t first, clipon::index_t count) {
          counts[static_cast<std::size_t>(first)] = count;
        });
        clipon::index_t next = 0;
        int ranges = 0;
        for (; next < n; ++ranges) {
          const clipon::index_t count = counts[static_cast<std::size_t>(next)];
          REQUIRE(count >= std::min(least, n));
          next += count;
        }
        CHECK(next == n);
        CHECK(ranges <= threads);
      }
    }
  }
}

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

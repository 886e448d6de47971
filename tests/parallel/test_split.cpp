#include <clipon/parallel/parallel_for.hpp>

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

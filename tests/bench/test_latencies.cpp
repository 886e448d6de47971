// The percentiles that `clipon bench` prints.
#include <doctest/doctest.h>

#include "../../bench/measure.hpp"

TEST_CASE("percentiles of latencies, in any order: the median between two calls, the slowest call at the end") {
  const bench::Latencies even({40.0, 10.0, 30.0, 20.0});
  CHECK(even.calls() == 4);
  CHECK(even.percentile(0.0) == 10.0);
  CHECK(even.percentile(0.5) == 25.0);
  CHECK(even.percentile(0.95) == doctest::Approx(38.5));  // rank 2.85 of 0 .. 3
  CHECK(even.percentile(1.0) == 40.0);
  CHECK(bench::Latencies({3.0, 1.0, 2.0}).percentile(0.5) == 2.0);
  CHECK(bench::Latencies({7.0}).percentile(0.99) == 7.0);
}

// What the measuring programs are told, and the middle of what they measure.
#include <doctest/doctest.h>

#include "../../bench/arguments.hpp"
#include "../../bench/stopwatch.hpp"

TEST_CASE("a wrong precision or count is refused, not measured as something else") {
  CHECK(bench::precision_named("f32") == clipon::Precision::f32);
  CHECK(bench::precision_named("int8") == clipon::Precision::int8);
  CHECK_THROWS_WITH((void)bench::precision_named("int9"), "expected f32, bf16 or int8, found 'int9'");
  CHECK_THROWS((void)bench::precision_named("auto"));  // which of them would be told nowhere
  CHECK(bench::count_named("12") == 12);
  for (const char* word : {"", "0", "-1", "2x", " 2", "2.5", "99999999999"}) {
    CAPTURE(word);
    CHECK_THROWS_AS((void)bench::count_named(word), std::runtime_error);
  }
}

TEST_CASE("the median of an even number of rounds lies between the two in the middle") {
  CHECK(bench::median({4.0, 1.0, 3.0, 2.0}) == 2.5);
  CHECK(bench::median({9.0, 1.0, 5.0}) == 5.0);
  CHECK(bench::median({7.0}) == 7.0);
}

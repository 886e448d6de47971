// What numbers become on the way out, and the state that they are computed in.
#include <clipon/core/finish_row.hpp>
#include <clipon/core/floating_point.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace clipon;

TEST_CASE("a finished row has unit length where asked to, and a direction in any case") {
  const auto finished = [](std::vector<float> row, bool normalize) {
    detail::finish_row(row.data(), static_cast<index_t>(row.size()), normalize);
    return row;
  };
  using Row = std::vector<float>;
  CHECK(finished({3, -4}, true) == Row{0.6f, -0.8f});
  CHECK(finished({3, -4}, false) == Row{3, -4});
  CHECK(finished({0x3p100f, -0x4p100f}, true) == Row{0.6f, -0.8f});  // whose squares are beyond a float
  CHECK(finished({0, 0}, false) == Row{0, 0});
  CHECK(support::code_of([&] { (void)finished({0, 0}, true); }) == ErrorCode::not_finite);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool normalize : {true, false}) {
      CHECK(support::code_of([&] { (void)finished({1, bad}, normalize); }) == ErrorCode::not_finite);
    }
  }
}

#if defined(__x86_64__)
TEST_CASE("clipon's own floating-point state: to nearest, no traps, no denormals; then the caller's again") {
  const unsigned usual = _mm_getcsr();
  for (const unsigned callers : {0x1f80u, 0x7f80u, 0x1fbfu, 0x9fc0u, 0x0000u}) {
    unsigned within = 0;
    _mm_setcsr(callers);
    {
      const FloatingPointScope scope;
      within = _mm_getcsr();
      volatile float large = std::numeric_limits<float>::max();
      volatile float infinite = 2.0f * large;  // sets a flag that the caller must not see
      static_cast<void>(infinite);
    }
    const unsigned after = _mm_getcsr();
    _mm_setcsr(usual);
    CHECK(within == 0x9fc0u);  // all masked, flush to zero, denormals are zero (Intel SDM 1, 10.2.3)
    CHECK(after == callers);
  }
}
#endif

#include <clipon/core/types.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "support.hpp"

TEST_CASE("f16_to_float agrees with the definition on all 65,536 values") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const float found = clipon::f16_to_float(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>((bits >> 10) & 31u);
    const double fraction = static_cast<double>(bits & 1023u) / 1024.0;
    double expected = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1.0 + fraction, exponent - 15);
    if (exponent == 31) expected = (bits & 1023u) != 0 ? std::nan("") : std::numeric_limits<double>::infinity();
    if ((bits & 0x8000u) != 0) expected = -expected;
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(found));
    } else {
      REQUIRE(double{found} == expected);
    }
  }
}

TEST_CASE("float_to_bf16 rounds to nearest, ties to even") {
  CHECK(clipon::float_to_bf16(1.0f) == 0x3f80);
  CHECK(clipon::float_to_bf16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);  // a tie, down to even
  CHECK(clipon::float_to_bf16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);  // a tie, up to even
  CHECK(clipon::float_to_bf16(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(clipon::float_to_bf16(-std::numeric_limits<float>::infinity()) == 0xff80);
  CHECK(std::isnan(clipon::bf16_to_float(clipon::float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  support::Random random(1);
  for (int i = 0; i < 100000; ++i) {
    const float value = random.normal() * std::exp2(static_cast<float>(random.whole(-40, 40)));
    const double back = double{clipon::bf16_to_float(clipon::float_to_bf16(value))};
    REQUIRE(std::fabs(back - double{value}) <= std::fabs(double{value}) * 0x1p-8);
  }
}

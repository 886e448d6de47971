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

TEST_CASE("float_to_f16 gives back all 65,536 values and rounds what lies between, ties to even") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = clipon::f16_to_float(half);
    if (std::isnan(value)) {
      REQUIRE(std::isnan(clipon::f16_to_float(clipon::float_to_f16(value))));
      continue;
    }
    REQUIRE(clipon::float_to_f16(value) == half);
    if ((bits & 0x7fffu) >= 0x7bffu) continue;  // infinity, and the greatest, have no next
    const float next = clipon::f16_to_float(static_cast<std::uint16_t>(bits + 1));
    const float middle = value + (next - value) / 2;  // exact: a float has 13 more bits
    REQUIRE(clipon::float_to_f16(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(clipon::float_to_f16(std::nextafter(middle, value)) == half);
    REQUIRE(clipon::float_to_f16(std::nextafter(middle, next)) == bits + 1);
  }
  CHECK(clipon::float_to_f16(65519.9f) == 0x7bff);
  CHECK(clipon::float_to_f16(65520.0f) == 0x7c00);
  CHECK(clipon::float_to_f16(-std::numeric_limits<float>::max()) == 0xfc00);
  CHECK(clipon::float_to_f16(std::numeric_limits<float>::denorm_min()) == 0);
}

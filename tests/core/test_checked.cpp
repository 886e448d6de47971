#include <clipon/core/aligned.hpp>
#include <clipon/core/checked.hpp>

#include "support.hpp"

TEST_CASE("checked arithmetic says when it overflows") {
  constexpr std::uint64_t top = ~std::uint64_t{0};
  CHECK(clipon::checked::add(2, 3) == 5u);
  CHECK(clipon::checked::add(top, 0) == top);
  CHECK_FALSE(clipon::checked::add(top, 1));
  CHECK(clipon::checked::multiply(1u << 31, 1u << 31) == std::uint64_t{1} << 62);
  CHECK_FALSE(clipon::checked::multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
  CHECK(clipon::checked::round_up(33, 32) == 64u);
  CHECK(clipon::checked::round_up(64, 32) == 64u);
  CHECK_FALSE(clipon::checked::round_up(top - 3, 32));
}

TEST_CASE("AlignedBuffer is aligned, moves, and refuses sizes that overflow") {
  clipon::AlignedBuffer<float> a(3);
  CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % clipon::kAlignment == 0);
  float* data = a.data();
  clipon::AlignedBuffer<float> b(std::move(a));
  CHECK(b.data() == data);
  CHECK(b.size() == 3);
  CHECK(a.size() == 0);
  clipon::AlignedBuffer<float> c(5);
  c = std::move(b);
  CHECK(c.data() == data);
  CHECK(c.size() == 3);
  CHECK(b.size() == 0);
  CHECK_THROWS_AS(clipon::AlignedBuffer<double>(~std::size_t{0} / 4), std::bad_alloc);
  CHECK_THROWS_AS(clipon::AlignedBuffer<double>(~std::size_t{0} / sizeof(double)), std::bad_alloc);
}

// Pixels that name colours which their palette lacks: black, as in Pillow 13.
#include <doctest/doctest.h>

#include <clipon/clipon.hpp>
#include <span>
#include <vector>

namespace {

// 4 x 1 pixels 0, 1, 2, 200 of two colours: (10, 20, 30) and (40, 50, 60)
constexpr unsigned char kPng[] = {137, 80,  78,  71,  13, 10,  26,  10, 0,  0,  0,   13,  73,  72,  68,  82,  0, 0,
                                  0,   4,   0,   0,   0,  1,   8,   3,  0,  0,  0,   206, 226, 255, 255, 0,   0, 0,
                                  6,   80,  76,  84,  69, 10,  20,  30, 40, 50, 60,  213, 27,  180, 233, 0,   0, 0,
                                  13,  73,  68,  65,  84, 120, 156, 99, 96, 96, 100, 58,  1,   0,   0,   212, 0, 204,
                                  4,   219, 207, 236, 0,  0,   0,   0,  73, 69, 78,  68,  174, 66,  96,  130};
constexpr unsigned char kBmp[] = {66, 77, 66, 0, 0, 0, 0, 0, 0, 0, 62, 0,  0,  0, 40, 0,  0,  0, 4, 0, 0, 0,
                                  1,  0,  0,  0, 1, 0, 8, 0, 0, 0, 0,  0,  4,  0, 0,  0,  0,  0, 0, 0, 0, 0,
                                  0,  0,  2,  0, 0, 0, 0, 0, 0, 0, 30, 20, 10, 0, 60, 50, 40, 0, 0, 1, 2, 200};

// 2 x 1 pixels 0 and 1 of two colours: (0, 0, 0) and (1, 1, 1)
constexpr unsigned char kTwoGrays[] = {66, 77, 66, 0, 0, 0, 0, 0, 0, 0, 62, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0,
                                       1,  0,  0,  0, 1, 0, 8, 0, 0, 0, 0,  0, 4, 0, 0,  0, 0, 0, 0, 0, 0, 0,
                                       0,  0,  2,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 1,  1, 1, 0, 0, 1, 0, 0};

std::vector<int> decoded(std::span<const unsigned char> file) {
  const clipon::Image image = clipon::Image::decode(std::as_bytes(file));
  const clipon::image::Pixels& pixels = image.pixels();
  REQUIRE(pixels.bytes() == 12);
  return {pixels.data.data(), pixels.data.data() + 12};
}

}  // namespace

TEST_CASE("colours that a palette lacks are black") {
  const std::vector<int> expected = {10, 20, 30, 40, 50, 60, 0, 0, 0, 0, 0, 0};
  CHECK(decoded(kPng) == expected);
  CHECK(decoded(kBmp) == expected);
}

TEST_CASE("a palette of two grays is one of colours, which are not interpolated, as in Pillow") {
  CHECK(clipon::Image::decode(std::as_bytes(std::span(kTwoGrays))).pixels().nearest);
}

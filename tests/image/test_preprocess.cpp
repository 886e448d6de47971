#include <clipon/image/preprocess.hpp>

#include "support.hpp"

using namespace clipon;

TEST_CASE("crop_offset is Python's round of the half difference") {
  CHECK(image::crop_offset(224, 224) == 0);
  CHECK(image::crop_offset(225, 224) == 0);  // 0.5 to even
  CHECK(image::crop_offset(226, 224) == 1);
  CHECK(image::crop_offset(227, 224) == 2);  // 1.5 to even
  CHECK(image::crop_offset(229, 224) == 2);  // 2.5 to even
  CHECK(image::crop_offset(231, 224) == 4);  // 3.5 to even
}

TEST_CASE("a picture of one colour stays that colour, whatever its shape and layout") {
  support::Random random(31);
  const auto& table = kernels::select_table(Isa::best);
  image::PreprocessConfig config;
  config.size = 32;
  std::vector<std::uint8_t> out(32 * 32 * 3);
  for (const auto layout : {image::Layout::gray, image::Layout::gray_alpha, image::Layout::rgb, image::Layout::rgba}) {
    for (int round = 0; round < 30; ++round) {
      image::Pixels pixels(random.whole(1, 90), random.whole(1, 90), layout, round % 5 == 0);
      const auto channels = static_cast<std::size_t>(image::channels_of(layout));
      std::vector<std::uint8_t> colour = random.bytes(static_cast<std::ptrdiff_t>(channels));
      if (channels % 2 == 0) colour.back() = 255;
      for (index_t i = 0; i < pixels.bytes(); ++i)
        pixels.data.data()[i] = colour[static_cast<std::size_t>(i) % channels];
      config.interpolation = round % 2 == 0 ? image::Interpolation::bicubic : image::Interpolation::bilinear;
      config.resize_mode = round % 3 == 0 ? image::ResizeMode::squash : image::ResizeMode::shortest;
      image::preprocess(table, pixels, config, out.data());
      for (std::size_t i = 0; i < out.size(); ++i) {
        REQUIRE(int{out[i]} == int{colour[channels < 3 ? 0 : i % 3]});
      }
    }
  }
}

TEST_CASE("every ISA resizes to the same bytes") {
  support::Random random(32);
  for (int round = 0; round < 20; ++round) {
    const auto layout = static_cast<image::Layout>(round % 5);
    image::Pixels pixels(random.whole(1, 300), random.whole(1, 300), layout);
    const auto bytes = random.bytes(pixels.bytes());
    std::copy(bytes.begin(), bytes.end(), pixels.data.data());
    image::PreprocessConfig config;
    config.size = random.whole(1, 70);
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(config.size * config.size * 3));
    image::preprocess(*kernels::built_table(kernels::usable_isas().front()), pixels, config, expected.data());
    support::for_each_isa([&](const kernels::KernelTable& table) {
      std::vector<std::uint8_t> found(expected.size());
      image::preprocess(table, pixels, config, found.data());
      REQUIRE(found == expected);
    });
  }
}

TEST_CASE("a picture of 1 x 10,000 pixels is cropped without being blown up") {
  const auto& table = kernels::select_table(Isa::best);
  image::PreprocessConfig config;
  config.size = 224;
  std::vector<std::uint8_t> out(224 * 224 * 3);
  for (const bool tall : {true, false}) {
    image::Pixels pixels(tall ? 1 : 10000, tall ? 10000 : 1, image::Layout::rgb);
    for (index_t i = 0; i < 10000; ++i) {
      for (index_t c = 0; c < 3; ++c) pixels.data.data()[3 * i + c] = static_cast<std::uint8_t>(i < 5000 ? 10 : 200);
    }
    image::preprocess(table, pixels, config, out.data());
    CHECK(int{out.front()} == 10);  // the middle of the picture: the edge between the two halves
    CHECK(int{out.back()} == 200);
  }
}

TEST_CASE("own pixels may have a stride; squash changes both sides, shortest cuts the middle out") {
  std::vector<std::uint8_t> rows(2 * 20, 7);
  for (std::size_t i = 0; i < 12; ++i) rows[i / 6 * 20 + i % 6] = static_cast<std::uint8_t>(i);
  const Image image = Image::from_rgb(rows.data(), 2, 2, 20);
  for (std::size_t i = 0; i < 12; ++i) CHECK(int{image.pixels().data.data()[i]} == static_cast<int>(i));
  const auto& table = kernels::select_table(Isa::best);
  image::Pixels pixels(12, 4, image::Layout::gray);
  for (index_t i = 0; i < 48; ++i) pixels.data.data()[i] = static_cast<std::uint8_t>(i % 12 < 4 ? 0 : 200);
  image::PreprocessConfig config;
  config.size = 4;
  std::uint8_t out[48];
  image::preprocess(table, pixels, config, out);
  CHECK(int{out[0]} == 200);  // the middle has nothing of the dark third
  config.resize_mode = image::ResizeMode::squash;
  image::preprocess(table, pixels, config, out);
  CHECK(int{out[0]} == 0);
  image::Pixels tall(4, 12, image::Layout::gray);  // one side has the model's size already
  for (index_t i = 0; i < 48; ++i) tall.data.data()[i] = static_cast<std::uint8_t>(i / 4 % 3 == 0 ? 0 : 150);
  config.interpolation = image::Interpolation::bilinear;
  image::preprocess(table, tall, config, out);
  // three rows a row, the triangle six wide: 1, 2, 3, 2, 1 ninths of 150, 0, 150, 150, 0
  CHECK(int{out[12]} == 100);
  CHECK(support::code_of([&] { image::preprocess(table, image::Pixels(), config, out); }) ==
        ErrorCode::invalid_argument);
}

TEST_CASE("inks to RGB: black and each ink subtract") {
  std::uint8_t rgb[3];
  const auto found = [&](std::array<std::uint8_t, 4> inks) {
    image::to_rgb(image::Layout::cmyk, inks.data(), rgb);
    return std::vector<int>(rgb, rgb + 3);
  };
  CHECK(found({0, 0, 0, 0}) == std::vector<int>{255, 255, 255});
  CHECK(found({0, 0, 0, 255}) == std::vector<int>{0, 0, 0});
  CHECK(found({255, 0, 0, 0}) == std::vector<int>{0, 255, 255});
  CHECK(found({0, 128, 0, 155}) == std::vector<int>{100, 50, 100});
  CHECK(found({0, 130, 0, 155}) == std::vector<int>{100, 49, 100});  // 50.98 of the ink, rounded
}

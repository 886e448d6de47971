// Files that are no JPEG, PNG or BMP, by the names of their formats; files that are too large.
#include <clipon/image/decode.hpp>
#include <string>
#include <string_view>

#include "support.hpp"

using namespace clipon;

TEST_CASE("another format is told by its first bytes, however few; what is none is corrupt") {
  using namespace std::string_view_literals;
  struct Other {
    std::string_view start;
    const char* name;
  };
  const Other others[] = {{"GIF8"sv, "GIF"},
                          {"RIFF\0\0\0\0WEBP"sv, "WebP"},
                          {"II*\0"sv, "TIFF"},
                          {"MM\0*"sv, "TIFF"},
                          {"\0\0\0\x20"
                           "ftypavif"sv,
                           "AVIF"},
                          {"\0\0\0\x2c"
                           "ftypavis"sv,
                           "AVIF"},
                          {"\0\0\0\x18"
                           "ftypheic"sv,
                           "HEIC"},
                          {"\0\0\0\x18"
                           "ftyphevc"sv,
                           "HEIC"},
                          {"\0\0\0\x18"
                           "ftypmif1"sv,
                           "HEIF"},
                          {"\0\0\0\x18"
                           "ftypmsf1"sv,
                           "HEIF"},
                          {"II+\0"sv, "BigTIFF"},
                          {"MM\0+"sv, "BigTIFF"},
                          {"8BPS"sv, "PSD"},
                          {"<svg"sv, "SVG"},
                          {"<?xml"sv, "XML or SVG"},
                          {"%PDF"sv, "PDF"},
                          {"\xff\x0a"sv, "JPEG XL"},
                          {"\0\0\0\x0cJXL "sv, "JPEG XL"},
                          {"\0\0\0\x0cjP  "sv, "JPEG 2000"},
                          {"P1"sv, "PBM"},
                          {"P2"sv, "PGM"},
                          {"P3"sv, "PPM"},
                          {"P4"sv, "PBM"},
                          {"P5"sv, "PGM"},
                          {"P6"sv, "PPM"},
                          {"P7"sv, "PAM"},
                          {"<!DOCTYPE html>"sv, "HTML"},
                          {"<!doctype html>"sv, "HTML"},
                          {"<html lang=en>"sv, "HTML"},
                          {"#?RADIANCE"sv, "Radiance HDR"},
                          {"\x76\x2f\x31\x01"sv, "OpenEXR"},
                          {"\0\0\1\0"sv, "ICO"},
                          {"qoif"sv, "QOI"},
                          {"DDS "sv, "DDS"}};
  for (const Other& other : others) {
    CAPTURE(other.name);
    const std::string why = std::string("picture: expected JPEG, PNG or BMP, found ") + other.name;
    CHECK_THROWS_WITH_AS((void)image::decode(std::as_bytes(std::span(other.start)), {}), why.c_str(), Error);
    CHECK(support::code_of([&] { (void)image::decode(std::as_bytes(std::span(other.start)), {}); }) ==
          ErrorCode::image_unsupported);
  }
  CHECK_THROWS_WITH_AS((void)image::decode({}, {}), "picture: expected JPEG, PNG or BMP, found no bytes", Error);
  CHECK(support::code_of([] { (void)image::decode({}, {}); }) == ErrorCode::image_corrupt);
}

TEST_CASE("the limit of a file's size is the decoder's where the caller's is greater, and the error tells it") {
  DecodeOptions options;
  options.max_file_bytes = std::uint64_t{4} << 30;
  const std::byte none{};
  const std::span<const std::byte> large(&none, std::size_t{3} << 30);  // refused before a byte is read
  CHECK_THROWS_WITH_AS((void)image::decode(large, options),
                       "picture: expected a file of at most 2147482620 bytes, found 3221225472", Error);
}

TEST_CASE("a picture file's error begins with its path; one that is too large is not read") {
  const std::string path = support::source_path("tests/golden/tokens.json");
  CHECK_THROWS_WITH_AS((void)Image::read(path),
                       (path + ": picture: expected JPEG, PNG or BMP, found none of them").c_str(), Error);
  DecodeOptions options;
  options.max_file_bytes = 10;
  CHECK(support::code_of([&] { (void)Image::read(path, options); }) == ErrorCode::image_too_large);
}

TEST_CASE("own pixels: width and height, strides, each layout, 2^24 pixels a side") {
  std::vector<std::uint8_t> source(40);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::uint8_t>(i);
  using From = Image (*)(const std::uint8_t*, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t);
  const std::pair<From, image::Layout> makers[] = {{&Image::from_gray, image::Layout::gray},
                                                   {&Image::from_rgb, image::Layout::rgb},
                                                   {&Image::from_rgba, image::Layout::rgba}};
  for (const auto& maker : makers) {
    const Image made = maker.first(source.data(), 3, 2, 20);
    CHECK(made.width() == 3);
    CHECK(made.height() == 2);
    REQUIRE(made.pixels().layout == maker.second);
    const index_t row = 3 * image::channels_of(maker.second);
    for (index_t i = 0; i < 2 * row; ++i) CHECK(int{made.pixels().data.data()[i]} == i / row * 20 + i % row);
  }
  const std::ptrdiff_t longest = std::ptrdiff_t{1} << 24;
  const std::vector<std::uint8_t> line(static_cast<std::size_t>(longest) + 1);
  CHECK(Image::from_gray(line.data(), longest, 1).width() == longest);
  CHECK(Image::from_gray(line.data(), 1, longest).height() == longest);
  CHECK_THROWS_WITH_AS((void)Image::from_gray(line.data(), 1, longest + 1),
                       "pixels: expected a pointer and 1 to 2^24 pixels a side, found 1 x 16777217", Error);
  CHECK_THROWS_WITH_AS((void)Image::from_gray(nullptr, 1, 1),
                       "pixels: expected a pointer and 1 to 2^24 pixels a side, found null, 1 x 1", Error);
}

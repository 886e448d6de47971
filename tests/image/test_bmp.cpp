// Bitmaps: pixels of each palette depth, which palettes are interpolated as gray, headers that are refused.
#include <clipon/image/decode.hpp>
#include <cstdint>
#include <numeric>

#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

// One row of `row.size() * 8 / bits` pixels; palette: 0x00RRGGBB; colours: what the header says of their number.
struct Bitmap {
  std::uint16_t bits = 8;
  std::vector<std::uint32_t> palette;
  std::uint32_t colours = 0;
  std::string row = std::string("\0\1\2\3", 4);
  std::uint32_t header = 40;
  std::uint32_t start_earlier = 0;
  std::string gap = {};  // between the palette and the pixels
  std::uint32_t compression = 0;
  std::uint16_t planes = 1;
  std::uint32_t height = 1;  // rows of `row`
  bool last_padding = true;
};

std::string bytes_of(const Bitmap& b) {
  const auto width = static_cast<std::uint32_t>(b.row.size() * 8 / b.bits);
  const std::string more(b.header > 40 ? b.header - 40 : 0, '\0');  // of a later version's header
  const auto start =
      static_cast<std::uint32_t>(54 + more.size() + 4 * b.palette.size() + b.gap.size()) - b.start_earlier;
  std::string file = "BM" + std::string(8, '\0') + support::raw(start) + support::raw(b.header) + support::raw(width) +
                     support::raw(b.height) + support::raw(b.planes) + support::raw(b.bits) +
                     support::raw(b.compression) + std::string(12, '\0') + support::raw(b.colours) +
                     std::string(4, '\0') + more;
  for (const std::uint32_t colour : b.palette) file += support::raw(colour);
  file += b.gap;
  const std::string padding((4 - b.row.size() % 4) % 4, '\0');
  for (std::uint32_t y = 0; y < b.height; ++y) file += b.row + (y + 1 < b.height || b.last_padding ? padding : "");
  return file;
}

image::Pixels decode(const Bitmap& b) {
  const std::string file = bytes_of(b);
  return image::decode(std::as_bytes(std::span(file)), {});
}

std::vector<std::uint32_t> gray_ramp(std::uint32_t n) {
  std::vector<std::uint32_t> palette(n);
  for (std::uint32_t i = 0; i < n; ++i) palette[i] = i * 0x010101u;
  return palette;
}

}  // namespace

TEST_CASE("palette bitmaps of 1, 4 and 8 bits have their palette's colours, the most significant bits first") {
  std::vector<std::uint32_t> palette(256);
  for (std::uint32_t i = 0; i < 256; ++i) palette[i] = 0x102030u + i;
  const auto blues = [&](std::uint16_t bits, const std::string& row) {
    Bitmap b;
    b.bits = bits;
    b.palette.assign(palette.begin(), palette.begin() + (std::ptrdiff_t{1} << bits));
    b.row = row;
    const image::Pixels pixels = decode(b);
    CHECK(pixels.nearest);
    std::vector<int> found;
    for (index_t x = 0; x < pixels.width; ++x) {
      CHECK(pixels.data.data()[3 * x] == 0x10);
      CHECK(pixels.data.data()[3 * x + 1] == 0x20);
      found.push_back(pixels.data.data()[3 * x + 2] - 0x30);
    }
    return found;
  };
  CHECK(blues(8, std::string("\0\2\x7f\1", 4)) == std::vector<int>{0, 2, 127, 1});
  CHECK(blues(4, "\x1f\xa0") == std::vector<int>{1, 15, 10, 0});
  CHECK(blues(1, "\xb1") == std::vector<int>{1, 0, 1, 1, 0, 0, 0, 1});
}

TEST_CASE("a palette that is its own index is gray and interpolated, if all its colours are and they are not two") {
  Bitmap b;
  b.palette = gray_ramp(256);
  CHECK_FALSE(decode(b).nearest);
  b.palette[255] = 0;
  CHECK(decode(b).nearest);
  b.palette = gray_ramp(4);
  b.colours = 4;
  CHECK_FALSE(decode(b).nearest);
  b.colours = 5;  // one more than there are
  CHECK(decode(b).nearest);
  b.header = 124;
  b.colours = 4;
  CHECK_FALSE(decode(b).nearest);
  b.header = 40;
  for (std::uint32_t& colour : b.palette) colour &= 0xffu;  // shades of blue
  CHECK(decode(b).nearest);
  b.palette = gray_ramp(2);
  b.colours = 2;
  b.row = std::string("\0\1\0\1", 4);
  CHECK(decode(b).nearest);
}

TEST_CASE("bitmaps of OS/2, and pixels within the header, are refused") {
  Bitmap b;
  b.palette = gray_ramp(256);
  for (const std::uint32_t unknown : {12u, 41u, 125u}) {
    b.header = unknown;
    CHECK(support::code_of([&] { (void)decode(b); }) == ErrorCode::image_unsupported);
  }
  b.header = 40;
  b.palette = {};
  b.start_earlier = 1;
  CHECK(support::code_of([&] { (void)decode(b); }) == ErrorCode::image_corrupt);
}

TEST_CASE("24 and 32 bits a pixel are blue, green, red; runs are unsupported, a file of its first letters alone too") {
  Bitmap b;
  b.bits = 24;
  b.row = "abcdefghijkl";
  const image::Pixels three = decode(b);
  REQUIRE(three.bytes() == 12);
  CHECK(std::string(three.data.data(), three.data.data() + 12) == "cbafedihglkj");
  CHECK_FALSE(three.nearest);
  b.bits = 32;
  const image::Pixels four = decode(b);
  REQUIRE(four.bytes() == 9);
  CHECK(std::string(four.data.data(), four.data.data() + 9) == "cbagfekji");
  CHECK_FALSE(four.nearest);
  for (const std::uint32_t header : {40u, 52u, 56u, 64u, 108u, 124u}) {
    for (const char* gap : {"", "gap", "palette of nothing"}) {
      CAPTURE(header);
      b.header = header;
      b.gap = gap;
      const image::Pixels same = decode(b);
      CHECK(std::equal(same.data.data(), same.data.data() + same.bytes(), four.data.data(), four.data.data() + 9));
    }
  }
  b.header = 40;
  b.gap = {};
  b.bits = 8;
  b.palette = gray_ramp(256);
  b.compression = 1;
  CHECK(support::code_of([&] { (void)decode(b); }) == ErrorCode::image_unsupported);
  const auto decode_text = [](const std::string& file) { (void)image::decode(std::as_bytes(std::span(file)), {}); };
  CHECK_THROWS_WITH_AS(decode(b),
                       "BMP: expected uncompressed 1, 4, 8, 24 or 32 bits a pixel, found 8 bits, compression 1", Error);
  b.compression = 0;
  const std::string whole = bytes_of(b);
  for (const std::size_t size :
       {std::size_t{2}, std::size_t{17}, std::size_t{18}, std::size_t{53}, whole.size() - 12}) {
    CAPTURE(size);
    CHECK(support::code_of([&] { decode_text(whole.substr(0, size)); }) ==
          (size < 18 ? ErrorCode::image_unsupported : ErrorCode::image_corrupt));
  }
  b.header = 12;  // of OS/2
  CHECK_THROWS_WITH_AS(decode(b), "BMP: expected a header of Windows 3 or later, found one of 12 bytes", Error);
}

TEST_CASE(
    "bitmaps that Pillow reads and stb_image does not: no start of the pixels, planes, the last padding missing") {
  const auto same = [](const image::Pixels& a, const image::Pixels& b) {
    return a.height == b.height && a.nearest == b.nearest &&
           std::equal(a.data.data(), a.data.data() + a.bytes(), b.data.data(), b.data.data() + b.bytes());
  };
  Bitmap gray;
  gray.palette = gray_ramp(256);
  gray.row = "12345";
  gray.height = 3;
  Bitmap colour;
  colour.bits = 24;
  colour.row = "blugrered";
  colour.height = 2;
  for (const Bitmap& sound : {gray, colour}) {
    CAPTURE(int{sound.bits});
    const image::Pixels expected = decode(sound);
    Bitmap odd = sound;
    for (const std::uint16_t planes : {std::uint16_t{0}, std::uint16_t{3}, std::uint16_t{0x100}}) {
      odd.planes = planes;
      CHECK(same(decode(odd), expected));
    }
    odd = sound;
    odd.start_earlier = static_cast<std::uint32_t>(54 + 4 * sound.palette.size());  // it stands as 0
    CHECK(same(decode(odd), expected));
    odd = sound;
    odd.last_padding = false;
    CHECK(same(decode(odd), expected));
    std::string cut = bytes_of(odd);
    cut.pop_back();
    CHECK(support::code_of([&] { (void)image::decode(std::as_bytes(std::span(cut)), {}); }) ==
          ErrorCode::image_corrupt);
  }
}

TEST_CASE("pixels beyond a palette are what Pillow makes them: black, gray in a gray ramp, or colours of the pixels") {
  const auto found = [](const Bitmap& b) {
    const image::Pixels pixels = decode(b);
    return std::vector<int>(pixels.data.data(), pixels.data.data() + pixels.bytes());
  };
  Bitmap b;
  b.palette.assign(100, 0x102030u);
  b.row = std::string("\x00\x63\x64\xff", 4);
  b.colours = 100;
  const std::vector<int> black = {16, 32, 48, 16, 32, 48, 0, 0, 0, 0, 0, 0};
  CHECK(found(b) == black);
  b.gap = "what stands here is no colour";
  CHECK(found(b) == black);
  b.gap = std::string(4 * 156, 'x');  // as much as the other colours would take
  CHECK(found(b) == black);
  b.gap = {};
  b.colours = 0;  // 256, of which the pixels are read as the hundred and first
  CHECK(found(b) == std::vector<int>{16, 32, 48, 16, 32, 48, 0x64, 0x63, 0, 0, 0, 0});
  b.colours = 100;
  b.start_earlier = 4 * 100;  // the header forgot the palette
  CHECK(found(b) == black);
  b.palette.resize(256, 0);
  b.colours = 0;
  b.start_earlier = 4 * 256;
  CHECK(found(b) == black);

  b = {};
  b.palette = gray_ramp(4);
  b.colours = 4;
  b.row = std::string("\x00\x03\x04\xff", 4);
  CHECK(found(b) == std::vector<int>{0, 0, 0, 3, 3, 3, 4, 4, 4, 255, 255, 255});
  CHECK_FALSE(decode(b).nearest);

  b = {};
  b.bits = 4;
  b.palette.assign(2, 0x102030u);
  b.colours = 2;
  b.gap = "gap";
  b.row = "\x12";
  CHECK(found(b) == std::vector<int>{16, 32, 48, 0, 0, 0});
  b.palette.assign(16, 0x102030u);
  b.colours = 16;
  CHECK(found(b) == std::vector<int>{16, 32, 48, 16, 32, 48});
}

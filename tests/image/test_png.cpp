// PNGs made here: which are interpolated, which checksums count, what a header may claim, palettes that lack colours.
#include <clipon/image/decode.hpp>
#include <clipon/image/png.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

using namespace clipon;

namespace {

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(image::crc32(std::as_bytes(std::span(body))));
}

std::string header_chunk(std::uint32_t width, int depth, int colour_type) {  // one row
  return chunk("IHDR", big_endian(width) + big_endian(1) +
                           std::string{static_cast<char>(depth), static_cast<char>(colour_type), 0, 0, 0});
}

// The compressed row: its filter, which is none, and its bytes.
std::string stored_row(const std::string& row) {
  const std::string data = std::string(1, '\0') + row;
  const auto n = static_cast<unsigned>(data.size());
  return std::string("\x78\x01\x01", 3) + static_cast<char>(n) + static_cast<char>(n >> 8) + static_cast<char>(~n) +
         static_cast<char>(~n >> 8) + data + std::string(4, '\0');
}

std::string png(const std::string& chunks) {
  return "\x89PNG\r\n\x1a\n" + chunks + chunk("IEND", "");
}

image::Pixels decode_png_file(const std::string& file) {
  return image::decode(std::as_bytes(std::span(file)), {});
}

}  // namespace

TEST_CASE("gray of one bit and palettes take the nearest pixel; gray of more bits is interpolated") {
  for (const int depth : {1, 2, 4, 8}) {
    CAPTURE(depth);
    const std::string data = chunk("IDAT", stored_row(std::string(static_cast<std::size_t>(depth), '\x40')));
    CHECK(decode_png_file(png(header_chunk(8, depth, 0) + data)).nearest == (depth == 1));
    CHECK(decode_png_file(png(header_chunk(8, depth, 3) + chunk("PLTE", std::string(768, 'p')) + data)).nearest);
  }
}

TEST_CASE("checksums of the chunks that a picture is made of must be right, those of others need not be") {
  const std::string types[] = {"IHDR", "PLTE", "tRNS", "tEXt", "IDAT", "IEND"};
  const std::string sound = png(header_chunk(4, 8, 3) + chunk("PLTE", "abcdef") + chunk("tRNS", "x") +
                                chunk("tEXt", "key") + chunk("IDAT", stored_row(std::string("\0\1\0\1", 4))));
  CHECK_NOTHROW((void)decode_png_file(sound));
  for (const std::string& type : types) {
    std::string wrong = sound;
    const std::size_t at = wrong.find(type);
    const std::size_t length = static_cast<unsigned char>(wrong[at - 1]);
    wrong[at + 4 + length] ^= 1;
    if (type == "tEXt") {
      CHECK_NOTHROW((void)decode_png_file(wrong));
    } else {
      CHECK_THROWS_WITH_AS((void)decode_png_file(wrong), ("PNG: chunk " + type + " has a wrong checksum").c_str(),
                           Error);
    }
  }
}

TEST_CASE("Apple's variant of PNG is told; the bytes of all IDAT chunks count") {
  const std::string rest = header_chunk(4, 8, 0) + chunk("IDAT", "abc") + chunk("IDAT", "de");
  CHECK(support::code_of([&] { (void)decode_png_file(png(chunk("CgBI", "abcd") + rest)); }) ==
        ErrorCode::image_unsupported);
  const std::string file = png(rest);
  CHECK(image::read_png_header(std::as_bytes(std::span(file))).compressed == 5);
}

TEST_CASE("a PNG may claim as much as deflate can make of its bytes, 1032 times, and no more") {
  struct Type {
    int colour_type, channels, depth;
  };
  for (const Type& type : {Type{0, 1, 1}, Type{0, 1, 8}, Type{2, 3, 8}, Type{3, 1, 4}, Type{4, 2, 16}, Type{6, 4, 8}}) {
    CAPTURE(type.colour_type);
    image::PngHeader header;
    header.colour_type = type.colour_type;
    header.bit_depth = type.depth;
    header.width = 1032 * 8;
    header.height = 1;
    header.compressed = static_cast<std::uint64_t>(type.channels * type.depth);
    CHECK_NOTHROW(image::check_png_size(header));
    header.compressed -= 1;
    CHECK(support::code_of([&] { image::check_png_size(header); }) == ErrorCode::image_corrupt);
  }
}

TEST_CASE("of a palette of a hundred colours, the others are black") {
  const std::string palette(300, '\x7f');
  const std::string row("\x00\x63\x64\xff", 4);
  const image::Pixels pixels =
      decode_png_file(png(header_chunk(4, 8, 3) + chunk("PLTE", palette) + chunk("IDAT", stored_row(row))));
  const std::vector<int> found(pixels.data.data(), pixels.data.data() + 12);
  CHECK(found == std::vector<int>{127, 127, 127, 127, 127, 127, 0, 0, 0, 0, 0, 0});
}

TEST_CASE(
    "critical chunks that PNG does not define are refused before stb_image sees them, by two threads at once too") {
  const std::string header = header_chunk(4, 8, 0);
  const std::string data = chunk("IDAT", stored_row("abcd"));
  const std::string file = png(header + chunk("abCd", "x") + chunk("prVt", "x") + data);
  const image::Pixels pixels = decode_png_file(file);
  CHECK(std::string(pixels.data.data(), pixels.data.data() + pixels.bytes()) == "abcd");
  const auto refuse = [&](const std::string& type) {
    const std::string unknown = png(header + chunk(type, "x") + data);
    for (int i = 0; i < 100; ++i) {
      CHECK_THROWS_WITH_AS((void)decode_png_file(unknown),
                           ("PNG: expected the critical chunks of PNG, found " + type).c_str(), Error);
    }
    CHECK(support::code_of([&] { (void)decode_png_file(unknown); }) == ErrorCode::image_unsupported);
  };
  std::thread other([&] { refuse("ABCD"); });
  refuse("WXYZ");
  other.join();
}

TEST_CASE("IDAT chunks of no bytes, first, between and last, change nothing") {
  const std::string header = header_chunk(4, 8, 0);
  const std::string row = stored_row("abcd");
  const std::string none = chunk("IDAT", "");
  const auto pixels_of = [&](const std::string& chunks) {
    const image::Pixels pixels = decode_png_file(png(header + chunks));
    return std::string(pixels.data.data(), pixels.data.data() + pixels.bytes());
  };
  CHECK(pixels_of(none + chunk("IDAT", row)) == "abcd");
  CHECK(pixels_of(none + none + chunk("IDAT", row.substr(0, 5)) + none + chunk("IDAT", row.substr(5)) + none) ==
        "abcd");
  CHECK(support::code_of([&] { (void)pixels_of(none + none); }) == ErrorCode::image_corrupt);
}

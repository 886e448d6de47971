// JPEG headers, and what their Exif orientation does: read in either byte order, the picture turned upright.
#include <clipon/image/jpeg.hpp>
#include <clipon/image/orientation.hpp>
#include <fstream>
#include <string>

#include "support.hpp"

using namespace clipon;

namespace {

// An Exif segment whose only entry is an orientation.
std::string exif(bool little, int value) {
  const auto v = static_cast<char>(value);
  std::string text =
      std::string("Exif\0\0", 6) + (little ? std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18)
                                           : std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01", 18));
  return text + (little ? std::string{v, 0, 0, 0} : std::string{0, v, 0, 0});
}

int orientation_of(const std::string& segment) {
  return image::exif_orientation(std::as_bytes(std::span(segment)));
}

// A JPEG's segment.
std::string segment(char marker, const std::string& body) {
  const std::size_t length = body.size() + 2;
  return std::string{'\xff', marker, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)} + body;
}

const std::string kFrame("\x08\0\x02\0\x03\x01\x01\x11\0", 9);  // 3 x 2 gray pixels
const std::string kScan("\x01\x01\0\0\x3f\0", 6);

}  // namespace

TEST_CASE("the orientation in an Exif segment, in either byte order; what is none of 1 to 8 is 1") {
  for (const bool little : {true, false}) {
    for (int value = 1; value <= 8; ++value) CHECK(orientation_of(exif(little, value)) == value);
    CHECK(orientation_of(exif(little, 0)) == 1);
    CHECK(orientation_of(exif(little, 9)) == 1);
  }
}

TEST_CASE("a picture is turned upright as its orientation says, each of the eight") {
  image::Pixels stored(3, 2, image::Layout::gray);
  for (int i = 0; i < 6; ++i) stored.data.data()[i] = static_cast<std::uint8_t>(i);  // 0 1 2 / 3 4 5
  const std::vector<int> expected[] = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
                                       {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    image::Pixels copy(3, 2, image::Layout::gray);
    std::copy_n(stored.data.data(), 6, copy.data.data());
    const image::Pixels upright = image::upright(std::move(copy), orientation);
    CHECK(upright.width == (orientation < 5 ? 3 : 2));
    CHECK(upright.height == (orientation < 5 ? 2 : 3));
    const std::vector<int> found(upright.data.data(), upright.data.data() + 6);
    CHECK(found == expected[orientation - 1]);
  }
}

TEST_CASE("a JPEG's first Exif segment counts; frames of Huffman coding are read, progressive ones told") {
  for (const unsigned frame : {0xc0u, 0xc1u, 0xc2u}) {
    const std::string file = "\xff\xd8" + segment('\xe1', exif(true, 6)) + segment('\xe1', exif(false, 3)) +
                             segment(static_cast<char>(frame), kFrame) + segment('\xda', kScan) + "\xff\xd9";
    const image::JpegHeader header = image::read_jpeg_header(std::as_bytes(std::span(file)));
    CHECK(header.orientation == 6);
    CHECK(header.width == 3);
    CHECK(header.height == 2);
    CHECK(header.progressive == (frame == 0xc2u));
  }
}

TEST_CASE(
    "a JPEG of two frames or of more than a hundred scans is refused, and Huffman tables of more than 256 codes") {
  const auto code = [](const std::string& segments) {
    const std::string file = "\xff\xd8" + segments + "\xff\xd9";
    return support::code_of([&] { (void)image::read_jpeg_header(std::as_bytes(std::span(file))); });
  };
  const std::string frame = segment('\xc0', kFrame);
  CHECK(code(frame + frame + segment('\xda', kScan)) == ErrorCode::image_corrupt);
  std::string scans;
  for (int i = 0; i < 101; ++i) scans += segment('\xda', kScan);
  CHECK(code(frame + scans) == ErrorCode::image_corrupt);
  std::string table(17 + 257, '\0');
  table[15] = '\x01';
  table[16] = '\xff';
  CHECK(image::sound_huffman_tables(std::as_bytes(std::span(table)).first(17 + 256)));
  table[15] = '\x02';
  CHECK_FALSE(image::sound_huffman_tables(std::as_bytes(std::span(table))));
}

TEST_CASE("a JPEG is turned if asked to, and as it lies if not, as the reference has it") {
  std::ifstream stream(support::golden_path("pictures/rgb.jpg"), std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(stream)), {});
  file.insert(2, segment('\xe1', exif(true, 6)));
  const Image lying = Image::decode(std::as_bytes(std::span(file)));
  DecodeOptions options;
  options.apply_exif_orientation = true;
  const Image upright = Image::decode(std::as_bytes(std::span(file)), options);
  REQUIRE(lying.pixels().width != lying.pixels().height);
  CHECK(upright.pixels().width == lying.pixels().height);
  CHECK(upright.pixels().height == lying.pixels().width);
  CHECK(lying.pixels().width == Image::read(support::golden_path("pictures/rgb.jpg")).pixels().width);
}

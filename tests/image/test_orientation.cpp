// JPEG headers, and what their Exif orientation does: read in either byte order, the picture turned upright.
#include <clipon/image/jpeg.hpp>
#include <clipon/image/orientation.hpp>
#include <fstream>
#include <string>

#include "image/jpeg_segment.hpp"
#include "support.hpp"

using namespace clipon;
using support::jpeg_segment;

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

const std::string kFrame("\x08\0\x02\0\x03\x01\x01\x11\0", 9);  // 3 x 2 gray pixels
const std::string kScan("\x01\x01\0\0\x3f\0", 6);

image::JpegHeader header_of(const std::string& segments) {
  const std::string file = "\xff\xd8" + segments + "\xff\xd9";
  return image::read_jpeg_header(std::as_bytes(std::span(file)));
}

}  // namespace

TEST_CASE("the orientation in an Exif segment, in either byte order; what is none of 1 to 8 is 1") {
  for (const bool little : {true, false}) {
    for (int value = 1; value <= 8; ++value) CHECK(orientation_of(exif(little, value)) == value);
    CHECK(orientation_of(exif(little, 0)) == 1);
    CHECK(orientation_of(exif(little, 9)) == 1);
  }
}

TEST_CASE("an orientation that is stored as LONG") {
  for (const bool little : {true, false}) {
    for (int value = 1; value <= 8; ++value) {
      std::string text = exif(little, 1);
      text[little ? 18 : 19] = 4;  // the type
      text[24] = text[25] = text[26] = text[27] = 0;
      text[little ? 24 : 27] = static_cast<char>(value);
      CHECK(orientation_of(text) == value);
    }
  }
}

TEST_CASE("an orientation of another type, or in a TIFF header of other first bytes, is none, as in Pillow") {
  for (const bool little : {true, false}) {
    for (const char type : {'\0', '\1', '\2', '\5', '\7', '\x0d'}) {
      std::string text = exif(little, 6);
      text[little ? 18 : 19] = type;
      CHECK(orientation_of(text) == 1);
    }
    for (std::size_t i = 6; i < 10; ++i) {
      std::string text = exif(little, 6);
      text[i] = 'x';
      CHECK(orientation_of(text) == 1);
    }
  }
}

TEST_CASE("the orientation is found behind other entries; a segment that is cut or of another kind has none") {
  std::string two = exif(true, 6);
  two[14] = 2;
  two.insert(16, std::string("\x0f\x01\x02\0\x04\0\0\0abc\0", 12));  // the camera's maker comes first
  CHECK(orientation_of(two) == 6);
  for (const bool little : {true, false}) {
    const std::string whole = exif(little, 6);
    const auto bytes = std::as_bytes(std::span(whole));
    for (std::size_t n = 0; n < whole.size(); ++n) CHECK(image::exif_orientation(bytes.first(n)) == 1);
  }
  std::string other = exif(true, 6);
  other.replace(0, 4, "http");  // as XMP's begins, which has the same marker
  CHECK(orientation_of(other) == 1);
}

TEST_CASE("a picture is turned upright as its orientation says, each of the eight") {
  const std::vector<int> expected[] = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
                                       {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (const auto layout : {image::Layout::gray, image::Layout::rgb}) {
    const index_t channels = image::channels_of(layout);
    for (int orientation = 1; orientation <= 8; ++orientation) {
      CAPTURE(orientation);
      image::Pixels stored(3, 2, layout, true);
      for (index_t i = 0; i < 6; ++i) {  // 0 1 2 / 3 4 5; other channels 10 more each
        for (index_t c = 0; c < channels; ++c)
          stored.data.data()[i * channels + c] = static_cast<std::uint8_t>(i + 10 * c);
      }
      const image::Pixels upright = image::upright(std::move(stored), orientation);
      CHECK(upright.width == (orientation < 5 ? 3 : 2));
      CHECK(upright.height == (orientation < 5 ? 2 : 3));
      CHECK(upright.nearest);
      for (index_t i = 0; i < 6; ++i) {
        for (index_t c = 0; c < channels; ++c) {
          CHECK(int{upright.data.data()[i * channels + c]} ==
                expected[orientation - 1][static_cast<std::size_t>(i)] + 10 * c);
        }
      }
    }
  }
}

TEST_CASE("a JPEG's first Exif segment counts; frames of Huffman coding are read, progressive ones told") {
  for (const unsigned frame : {0xc0u, 0xc1u, 0xc2u}) {
    const std::string file = "\xff\xd8" + jpeg_segment('\xe1', exif(true, 6)) + jpeg_segment('\xe1', exif(false, 3)) +
                             jpeg_segment(static_cast<char>(frame), kFrame) + jpeg_segment('\xda', kScan) + "\xff\xd9";
    const image::JpegHeader header = image::read_jpeg_header(std::as_bytes(std::span(file)));
    CHECK(header.orientation == 6);
    CHECK(header_of(jpeg_segment('\xe1', exif(true, 1)) + file.substr(2, file.size() - 4)).orientation == 1);
    CHECK(
        header_of(jpeg_segment('\xe1', "http://ns.adobe.com/xap/1.0/") + file.substr(2, file.size() - 4)).orientation ==
        6);
    CHECK(header.width == 3);
    CHECK(header.height == 2);
    CHECK(header.progressive == (frame == 0xc2u));
  }
}

TEST_CASE(
    "a JPEG of two frames or of more than a hundred scans is refused, and Huffman tables of more than 256 codes") {
  const auto code = [](const std::string& segments) { return support::code_of([&] { (void)header_of(segments); }); };
  const std::string frame = jpeg_segment('\xc0', kFrame);
  CHECK(code(frame + frame + jpeg_segment('\xda', kScan)) == ErrorCode::image_corrupt);
  std::string scans;
  for (int i = 0; i < 100; ++i) scans += jpeg_segment('\xda', kScan);
  CHECK(header_of(frame + scans).scans == 100);
  CHECK(code(frame + scans + jpeg_segment('\xda', kScan)) == ErrorCode::image_corrupt);
  CHECK(code(frame) == ErrorCode::image_corrupt);
  CHECK(code(jpeg_segment('\xda', kScan)) == ErrorCode::image_corrupt);
  std::string table(17 + 257, '\0');
  table[15] = '\x01';
  table[16] = '\xff';
  CHECK(image::sound_huffman_tables(std::as_bytes(std::span(table)).first(17 + 256)));
  table[15] = '\x02';
  CHECK_FALSE(image::sound_huffman_tables(std::as_bytes(std::span(table))));
  table[15] = table[16] = 0;  // and one of none
  CHECK(image::sound_huffman_tables(std::as_bytes(std::span(table)).first(17)));
}

TEST_CASE("between a JPEG's segments: restarts, zeros and fill bytes, markers without a length") {
  const std::string frame = jpeg_segment('\xc0', kFrame);
  const std::string scan = jpeg_segment('\xda', kScan);
  std::string data("ab\xff\0c", 5);
  for (unsigned restart = 0xd0; restart <= 0xd7; ++restart)
    data += std::string{'\xff', static_cast<char>(restart), 'r'};
  CHECK(header_of(frame + scan + data + "\xff\xff\xff").scans == 1);  // fill bytes before the end marker
  CHECK(header_of("\xff\xff" + frame + scan).width == 3);
  CHECK(header_of("\xff\xd8\xff\x01" + frame + scan).width == 3);
  CHECK(header_of(jpeg_segment('\xcc', "ab") + jpeg_segment('\xc8', "") + frame + scan).width == 3);
}

TEST_CASE("a JPEG of another process or of more bits is told by what it is") {
  const auto refused = [](const std::string& segments, const std::string& why) {
    CHECK_THROWS_WITH_AS((void)header_of(segments), ("JPEG: expected " + why).c_str(), Error);
    CHECK(support::code_of([&] { (void)header_of(segments); }) == ErrorCode::image_unsupported);
  };
  for (const int type : {3, 5, 6, 7, 9, 10, 11, 13, 14, 15}) {
    refused(jpeg_segment(static_cast<char>(0xc0 + type), kFrame) + jpeg_segment('\xda', kScan),
            "baseline or progressive Huffman coding, found frame type " + std::to_string(type));
  }
  std::string frame = kFrame;
  frame[0] = 12;
  refused(jpeg_segment('\xc1', frame) + jpeg_segment('\xda', kScan), "8 bits a sample, found 12");
}

TEST_CASE("a JPEG of up to ten times the limit's pixels in all its scans is decoded, whatever the limit") {
  for (const char* name : {"rgb.jpg", "interlaced_progressive.jpg"}) {  // one scan, and ten
    DecodeOptions options;
    for (const std::uint64_t most : {std::uint64_t{61 * 47}, std::uint64_t{1} << 63}) {
      options.max_pixels = most;
      CHECK(Image::read(support::golden_path(std::string("pictures/") + name), options).width() == 61);
    }
  }
}

#if defined(CLIPON_WITH_TURBOJPEG)  // stb_image needs more memory, and takes what is missing for zeros
TEST_CASE("a JPEG's decoder may take exactly the limit of memory, three times the pixels if progressive") {
  for (const auto& [name, bytes] : {std::pair{"rgb.jpg", 61 * 47 * 3}, {"interlaced_progressive.jpg", 61 * 47 * 9}}) {
    const std::string path = support::golden_path(std::string("pictures/") + name);
    DecodeOptions options;
    options.max_decoder_bytes = static_cast<std::uint64_t>(bytes);
    CHECK(Image::read(path, options).width() == 61);
    options.max_decoder_bytes -= 1;
    CHECK(support::code_of([&] { (void)Image::read(path, options); }) == ErrorCode::image_too_large);
  }
}

TEST_CASE("a JPEG whose data are damaged is refused; so is one that is longer than libjpeg reads, as unsupported") {
  std::ifstream stream(support::golden_path("pictures/rgb.jpg"), std::ios::binary);
  const std::string sound((std::istreambuf_iterator<char>(stream)), {});
  const std::size_t scan = sound.find("\xff\xda");
  const std::string damaged = sound.substr(0, scan + 14) + sound.substr(sound.size() - 2);
  const auto code = [](const std::string& file) {
    return support::code_of([&] { (void)Image::decode(std::as_bytes(std::span(file))); });
  };
  CHECK(code(damaged) == ErrorCode::image_corrupt);
  std::string longer = sound;
  longer.replace(sound.find("\xff\xc0") + 5, 4, std::string("\0\x01\xff\xdd", 4));  // 65501 x 1
  CHECK(code(longer) == ErrorCode::image_unsupported);
}
#endif

TEST_CASE("a JPEG is turned if asked to, and as it lies if not, as the reference has it") {
  std::ifstream stream(support::golden_path("pictures/rgb.jpg"), std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(stream)), {});
  file.insert(2, jpeg_segment('\xe1', exif(true, 6)));
  const Image lying = Image::decode(std::as_bytes(std::span(file)));
  DecodeOptions options;
  options.apply_exif_orientation = true;
  const Image upright = Image::decode(std::as_bytes(std::span(file)), options);
  REQUIRE(lying.pixels().width != lying.pixels().height);
  CHECK(upright.pixels().width == lying.pixels().height);
  CHECK(upright.pixels().height == lying.pixels().width);
  CHECK(lying.pixels().width == Image::read(support::golden_path("pictures/rgb.jpg")).pixels().width);
}

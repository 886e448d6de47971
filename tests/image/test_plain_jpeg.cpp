// JPEGs that libjpeg warns of although nothing is missing, and what such a warning must not hide.
#include <clipon/image/decode.hpp>
#include <clipon/image/plain_jpeg.hpp>
#include <fstream>
#include <functional>
#include <string>

#include "image/jpeg_segment.hpp"
#include "support.hpp"

using namespace clipon;
using support::jpeg_segment;

TEST_CASE("the count of bytes before the end marker is read from libjpeg's warning, and from no other") {
  CHECK(image::bytes_before_end("Corrupt JPEG data: 137 extraneous bytes before marker 0xd9") == 137);
  CHECK(image::bytes_before_end("7 extraneous bytes before marker 0xd9") == 7);
  CHECK(image::bytes_before_end(" extraneous bytes before marker 0xd9") == 0);
  CHECK(image::bytes_before_end("Corrupt JPEG data: 137 extraneous bytes before marker 0xda") == 0);
  CHECK(image::bytes_before_end("") == 0);
}

#if defined(CLIPON_WITH_TURBOJPEG)
namespace {

using Quirk = std::function<void(std::string&)>;

std::string sound_file(const char* name) {
  std::ifstream stream(support::golden_path(std::string("pictures/") + name), std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::size_t scan_at(const std::string& file) {
  return file.find("\xff\xda");
}

std::size_t data_at(const std::string& file) {
  const std::size_t scan = scan_at(file);
  return scan + 2 + static_cast<unsigned char>(file[scan + 3]);  // the segment is shorter than 256 bytes
}

const std::pair<std::string, Quirk> kQuirks[] = {
    {"JFIF 2", [](std::string& file) { file[file.find(std::string("JFIF\0", 5)) + 5] = '\2'; }},
    {"Adobe's transform 5",
     [](std::string& file) {
       file.insert(2, std::string("\xff\xee\0\x0e"
                                  "Adobe\0\x64\0\0\0\0\5",
                                  16));
     }},
    {"coefficients to 62", [](std::string& file) { file[data_at(file) - 2] = '\x3e'; }},
    {"bytes between segments", [](std::string& file) { file.insert(scan_at(file), std::string("a\0b\xff\0c", 6)); }},
    {"bytes before the end", [](std::string& file) { file.insert(file.size() - 2, 20, '\0'); }},
    {"fill bytes before the end",
     [](std::string& file) { file.insert(file.size() - 2, std::string("\0\0\xff\xff", 4)); }},
};

image::Pixels decode(const std::string& file) {
  return image::decode(std::as_bytes(std::span(file)), {});
}

bool same(const image::Pixels& a, const image::Pixels& b) {
  return a.width == b.width && a.height == b.height && a.layout == b.layout &&
         std::equal(a.data.data(), a.data.data() + a.bytes(), b.data.data());
}

}  // namespace

TEST_CASE("a JPEG with harmless quirks, one or two, decodes as without them; cut, it is refused for all of them") {
  const std::string sound = sound_file("rgb.jpg");
  const image::Pixels expected = decode(sound);
  const std::size_t data = data_at(sound);
  std::string cut = sound;
  cut.erase(data + (sound.size() - data) / 2, (sound.size() - data) / 2 - 2);  // half the scan; the end marker stays
  CHECK(support::code_of([&] { (void)decode(cut); }) == ErrorCode::image_corrupt);
  for (const auto& first : kQuirks) {
    for (const auto& second : kQuirks) {
      CAPTURE(first.first);
      CAPTURE(second.first);
      const auto with = [&](std::string file) {
        first.second(file);
        if (&first != &second) second.second(file);
        return file;
      };
      CHECK(same(decode(with(sound)), expected));
      CHECK(support::code_of([&] { (void)decode(with(cut)); }) == ErrorCode::image_corrupt);
    }
  }
}

TEST_CASE("quirks of gray, CMYK and progressive JPEGs") {
  for (const char* name : {"gray.jpg", "cmyk.jpg", "interlaced_progressive.jpg"}) {
    CAPTURE(name);
    const std::string sound = sound_file(name);
    std::string odd = sound;
    odd.insert(scan_at(odd), "junk");
    odd.insert(odd.size() - 2, "junk");
    if (const std::size_t adobe = odd.find("Adobe"); adobe != std::string::npos && odd[adobe + 11] != 0) {
      odd[adobe + 11] = '\x09';
    }
    CHECK(same(decode(odd), decode(sound)));
    const std::string cut = odd.substr(0, data_at(odd) + 30) + "\xff\xd9";
    if (std::string_view(name) != "interlaced_progressive.jpg") {  // whose later scans only refine the first
      CHECK(support::code_of([&] { (void)decode(cut); }) == ErrorCode::image_corrupt);
    }
  }
}

TEST_CASE("bytes before the end marker don't hide that a restart is missing") {
  const std::string table = std::string("\1", 1) + std::string(15, '\0') + std::string(1, '\0');  // one code, "0"
  const std::string start = "\xff\xd8" + jpeg_segment('\xdb', std::string(1, '\0') + std::string(64, '\1')) +
                            jpeg_segment('\xc0', std::string("\x08\0\x08\0\x10\x01\x01\x11\0", 9)) +  // 16 x 8, gray
                            jpeg_segment('\xc4', std::string(1, '\0') + table) + jpeg_segment('\xc4', "\x10" + table) +
                            jpeg_segment('\xdd', std::string("\0\1", 2)) +  // a restart after each block
                            jpeg_segment('\xda', std::string("\1\1\0\0\x3f\0", 6));
  const std::string block = "\x3f";  // no difference, no more coefficients, ones to the end of the byte
  const image::Pixels gray = decode(start + block + "\xff\xd0" + block + "\xff\xd9");
  REQUIRE(gray.bytes() == 128);
  CHECK(int{gray.data.data()[127]} == 128);
  CHECK(same(decode(start + block + "\xff\xd0" + block + "junk\xff\xd9"), gray));
  CHECK(support::code_of([&] { (void)decode(start + block + "\xff\xd9"); }) == ErrorCode::image_corrupt);
  CHECK(support::code_of([&] { (void)decode(start + block + "junk\xff\xd9"); }) == ErrorCode::image_corrupt);
}
#endif

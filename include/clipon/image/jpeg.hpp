// What must be known of a JPEG before it is decoded: its frame, whether it is whole, how many scans it has, which way
// up it is.  Layer 3; called by decoders.hpp.  ITU-T T.81, annex B; Exif 2.3, 4.6.4 (orientation).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "clipon/error.hpp"
#include "clipon/image/bytes.hpp"

namespace clipon::inline CLIPON_ABI::image {

struct JpegHeader {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  int components = 0;  // 1 gray, 3 colour, 4 CMYK or YCCK
  int scans = 0;
  bool progressive = false;
  int orientation = 1;  // Exif: 1 upright, 2..8 mirrored or turned
};

constexpr int kMaxJpegScans = 100;  // a progressive encoder writes about 10; each costs a pass over the whole picture

inline bool is_exif(std::span<const std::byte> segment) {
  using namespace std::string_view_literals;
  return starts_with(segment, "Exif\0\0"sv);
}

/// The orientation in an Exif segment, 1 where there is none or it is broken.
inline int exif_orientation(std::span<const std::byte> segment) {
  using namespace std::string_view_literals;
  constexpr std::size_t tiff = 6;  // after "Exif\0\0"
  if (segment.size() < tiff + 8 || !is_exif(segment)) return 1;
  const bool little = starts_with(segment, "II*\0"sv, tiff);
  if (!little && !starts_with(segment, "MM\0*"sv, tiff)) return 1;
  const auto number = [&](std::size_t at, std::size_t n) {
    return little ? little_endian(segment, at, n) : big_endian(segment, at, n);
  };
  const std::uint64_t directory = tiff + std::uint64_t{number(tiff + 4, 4)};
  if (directory + 2 > segment.size()) return 1;
  const std::uint32_t entries = number(static_cast<std::size_t>(directory), 2);
  for (std::uint64_t e = 0; e < entries; ++e) {
    const std::uint64_t at = directory + 2 + 12 * e;
    if (at + 12 > segment.size()) return 1;
    constexpr std::uint32_t orientation = 0x0112;
    constexpr std::uint32_t is_short = 3;  // the type that Exif prescribes
    constexpr std::uint32_t is_long = 4;
    const auto entry = static_cast<std::size_t>(at);
    if (number(entry, 2) != orientation) continue;
    const std::uint32_t type = number(entry + 2, 2);
    if (type != is_short && type != is_long) return 1;  // as in Pillow
    const std::uint32_t value = number(entry + 8, type == is_long ? 4 : 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

/// Whether each Huffman table in a DHT segment has at most the 256 codes that a byte can name: stb_image 2.27 writes
/// beyond its tables where one has more.  T.81, B.2.4.2.
inline bool sound_huffman_tables(std::span<const std::byte> segment) {
  constexpr std::size_t counts = 17;  // the table's class and number, then how many codes have 1..16 bits
  while (!segment.empty()) {
    if (segment.size() < counts) return false;
    std::size_t codes = 0;
    for (std::size_t bits = 1; bits < counts; ++bits) codes += std::to_integer<std::size_t>(segment[bits]);
    if (codes > 256 || codes > segment.size() - counts) return false;
    segment = segment.subspan(counts + codes);
  }
  return true;
}

/// Where the next marker stands, from `at` on, restart markers apart; file.size(): nowhere.  In entropy-coded data 0xff
/// is followed by 0 or a restart marker; between segments there may be fill bytes.  T.81, B.1.1.
inline std::size_t next_jpeg_marker(std::span<const std::byte> file, std::size_t at) {
  while (at + 1 < file.size()) {
    const auto* found = static_cast<const std::byte*>(std::memchr(file.data() + at, 0xff, file.size() - 1 - at));
    if (found == nullptr) break;
    at = static_cast<std::size_t>(found - file.data());
    const auto next = std::to_integer<unsigned>(file[at + 1]);
    if (next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7)) return at;
    at += next == 0xff ? 1 : 2;
  }
  return file.size();
}

/// Throws Error image_corrupt (no frame, a segment that leaves the file, no end marker, too many scans, a Huffman table
/// that is none) or image_unsupported (12 bits, lossless, hierarchical).
inline JpegHeader read_jpeg_header(std::span<const std::byte> file) {
  const auto fail = [](ErrorCode code, const std::string& why) { return Error(code, "JPEG: " + why); };
  JpegHeader header;
  bool has_exif = false;  // the first such segment counts
  std::size_t at = 2;     // after the start marker
  while (true) {
    at = next_jpeg_marker(file, at);
    if (at == file.size()) throw fail(ErrorCode::image_corrupt, "it ends before its end marker");
    const auto marker = std::to_integer<unsigned>(file[at + 1]);
    at += 2;
    if (marker == 0xd9) break;                       // EOI
    if (marker == 0xd8 || marker == 0x01) continue;  // SOI, TEM: no length
    if (file.size() - at < 2) throw fail(ErrorCode::image_corrupt, "it ends within a segment");
    const std::size_t length = big_endian(file, at, 2);
    if (length < 2 || length > file.size() - at) throw fail(ErrorCode::image_corrupt, "a segment leaves the file");
    const auto segment = file.subspan(at + 2, length - 2);
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) {
      if (marker != 0xc0 && marker != 0xc1 && marker != 0xc2) {
        throw fail(ErrorCode::image_unsupported, "expected baseline or progressive Huffman coding, found frame type " +
                                                     std::to_string(marker - 0xc0));
      }
      if (segment.size() < 6 || header.components != 0) {
        throw fail(ErrorCode::image_corrupt, "expected one frame header");
      }
      const int bits = std::to_integer<int>(segment[0]);
      if (bits != 8) {
        throw fail(ErrorCode::image_unsupported, "expected 8 bits a sample, found " + std::to_string(bits));
      }
      header.height = big_endian(segment, 1, 2);
      header.width = big_endian(segment, 3, 2);
      header.components = std::to_integer<int>(segment[5]);
      header.progressive = marker == 0xc2;
    } else if (marker == 0xda) {
      if (++header.scans > kMaxJpegScans) {
        throw fail(ErrorCode::image_corrupt,
                   "expected at most " + std::to_string(kMaxJpegScans) + " scans, found more");
      }
    } else if (marker == 0xc4 && !sound_huffman_tables(segment)) {
      throw fail(ErrorCode::image_corrupt, "expected Huffman tables of at most 256 codes, within their segment");
    } else if (marker == 0xe1 && !has_exif) {
      has_exif = is_exif(segment);
      header.orientation = exif_orientation(segment);
    }
    at += length;
  }
  if (header.components == 0 || header.scans == 0) throw fail(ErrorCode::image_corrupt, "it has no picture");
  return header;
}

}  // namespace clipon::inline CLIPON_ABI::image

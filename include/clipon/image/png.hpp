// What must be known of a PNG before stb_image decodes it.  Layer 3; called by decoders.hpp.
// stb_image expands palettes and ignores checksums; the colour type says which of Pillow's modes the picture has, and a
// walk over the chunks says whether the file is whole.  PNG specification (third edition), 5 and 11.2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clipon/core/crc.hpp"
#include "clipon/error.hpp"
#include "clipon/image/bytes.hpp"

namespace clipon::inline CLIPON_ABI::image {

struct PngHeader {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  int bit_depth = 0;
  int colour_type = 0;           // 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA
  std::uint64_t compressed = 0;  // bytes in IDAT chunks
  std::size_t palette_at = 0;    // of the first PLTE chunk; 0: there is none
  std::size_t palette_bytes = 0;
  bool has_empty_idat = false;
};

constexpr std::array<unsigned char, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  constexpr std::uint32_t ieee_802_3 = 0xedb88320u;  // reflected
  return ~crc_by_tables<ieee_802_3>(~0u, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

/// Whether a picture can't be told without a chunk of this type.  PNG specification, 5.4.
inline bool is_critical(const std::string& type) {
  return (type[0] & 0x20) == 0;
}

/// Throws Error image_unsupported (CgBI, another critical chunk that PNG does not define: stb_image names it in memory
/// that threads share) or image_corrupt: no IHDR first, a chunk that leaves the file, a wrong checksum of a chunk that
/// decoding needs, no IDAT, no PLTE where pixels name its colours, no IEND.
inline PngHeader read_png_header(std::span<const std::byte> file) {
  const auto corrupt = [](const std::string& why) { return Error(ErrorCode::image_corrupt, "PNG: " + why); };
  PngHeader header;
  for (std::size_t at = kPngSignature.size(); true;) {
    if (file.size() - at < 12) throw corrupt("it ends before its IEND chunk");
    const std::uint64_t length = big_endian(file, at, 4);
    if (length > file.size() - at - 12) throw corrupt("a chunk is longer than what is left of the file");
    const auto n = static_cast<std::size_t>(length);
    const std::string type(reinterpret_cast<const char*>(file.data() + at + 4), 4);
    const bool first = at == kPngSignature.size();
    if (type == "CgBI") throw Error(ErrorCode::image_unsupported, "PNG: expected a PNG, found Apple's variant (CgBI)");
    if (first != (type == "IHDR")) throw corrupt("expected one IHDR chunk, and it first");
    const bool known = type == "IHDR" || type == "PLTE" || type == "IDAT" || type == "IEND";
    if (is_critical(type) && !known) {
      throw Error(ErrorCode::image_unsupported, "PNG: expected the critical chunks of PNG, found " + type);
    }
    if (known || type == "tRNS") {
      if (crc32(file.subspan(at + 4, n + 4)) != big_endian(file, at + 8 + n, 4)) {
        throw corrupt("chunk " + type + " has a wrong checksum");
      }
    }
    if (first) {
      if (n != 13) throw corrupt("expected an IHDR chunk of 13 bytes, found " + std::to_string(n));
      header.width = big_endian(file, at + 8, 4);
      header.height = big_endian(file, at + 12, 4);
      header.bit_depth = std::to_integer<int>(file[at + 16]);
      header.colour_type = std::to_integer<int>(file[at + 17]);
    }
    if (type == "IDAT") {
      header.compressed += n;
      if (n == 0) header.has_empty_idat = true;
    }
    if (type == "PLTE" && header.palette_at == 0) {
      header.palette_at = at;
      header.palette_bytes = n;
    }
    at += n + 12;
    if (type == "IEND") break;
  }
  if (header.compressed == 0) throw corrupt("it has no IDAT chunk");
  if (header.colour_type == 3 && header.palette_at == 0) throw corrupt("it has no PLTE chunk");
  return header;
}

/// A file that read_png_header has accepted, less its IDAT chunks of no bytes: stb_image copies a first one to a null
/// pointer.
inline std::vector<std::byte> without_empty_idats(std::span<const std::byte> file) {
  std::vector<std::byte> rest(file.begin(), file.begin() + kPngSignature.size());
  rest.reserve(file.size());
  for (std::size_t at = kPngSignature.size(); at < file.size();) {
    const std::size_t n = big_endian(file, at, 4);
    const auto chunk = file.subspan(at, n + 12);
    const std::string type(reinterpret_cast<const char*>(chunk.data() + 4), 4);
    if (n != 0 || type != "IDAT") rest.insert(rest.end(), chunk.begin(), chunk.end());
    at += chunk.size();
    if (type == "IEND") break;
  }
  return rest;
}

// In Pillow a pixel that names a colour which the palette lacks is black; stb_image takes one from memory that nothing
// was written to.
/// A PNG whose PLTE chunk at `chunk`, of `bytes`, has 2^bits colours.  Its checksum is not mended: stb_image reads
/// none.
inline std::vector<std::byte> with_whole_png_palette(std::span<const std::byte> file, std::size_t chunk,
                                                     std::size_t bytes, int bits) {
  const std::size_t needed = std::size_t{3} << bits;
  const auto end = file.begin() + static_cast<std::ptrdiff_t>(chunk + 8 + bytes);  // of the colours that are there
  std::vector<std::byte> whole;
  whole.reserve(file.size() + needed - bytes);
  whole.assign(file.begin(), end);
  whole.resize(chunk + 8 + needed);
  whole.insert(whole.end(), end, file.end());
  for (std::size_t i = 0; i < 4; ++i) whole[chunk + i] = static_cast<std::byte>(needed >> (8 * (3 - i)));
  return whole;
}

/// Throws Error image_corrupt for a header whose picture could not come out of so few bytes: known before any memory is
/// taken for it.  Call it after the limits on width and height have been checked.
inline void check_png_size(const PngHeader& header) {
  constexpr std::uint64_t most_inflation = 1032;  // deflate makes at most 258 bytes of 2 bits
  const int channels = header.colour_type == 2 ? 3 : header.colour_type == 4 ? 2 : header.colour_type == 6 ? 4 : 1;
  const std::uint64_t row = std::uint64_t{header.width} * static_cast<std::uint64_t>(channels * header.bit_depth) / 8;
  if (row * header.height / most_inflation > header.compressed) {
    throw Error(ErrorCode::image_corrupt, "PNG: it has too few bytes for a picture of its size");
  }
}

}  // namespace clipon::inline CLIPON_ABI::image

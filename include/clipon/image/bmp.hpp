// What must be known of a BMP before stb_image decodes it.  Layer 3; called by decoders.hpp.
// Which of Pillow's modes the picture has, and where its palette and pixels lie as Pillow reads them: stb_image 2.27
// knows fewer headers, and takes colours that a palette lacks from memory that nothing was written to.  In Pillow such
// pixels are black.  BITMAPINFOHEADER and its successors: Microsoft, "Bitmap Structures".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "clipon/error.hpp"
#include "clipon/image/bytes.hpp"

namespace clipon::inline CLIPON_ABI::image {

struct BmpHeader {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t bits = 0;         // a pixel: 1, 4 and 8 have a palette, 24 and 32 none
  std::uint64_t palette_at = 0;   // right behind the header
  std::uint64_t colours = 0;      // that the palette is said to have
  std::uint64_t pixels_at = 0;    // as Pillow corrects it
  std::uint64_t row_bytes = 0;    // with padding to four bytes
  std::uint64_t row_padding = 0;  // which the last row may lack
  bool is_plain = false;          // the shortest header, of one plane, that says where the pixels begin

  /// Colours that pixels can name; 0 without a palette.
  [[nodiscard]] std::uint64_t named_colours() const { return bits <= 8 ? std::uint64_t{1} << bits : 0; }
};

constexpr std::size_t kPlainBmpHeader = 54;  // bytes: of the file, and of BITMAPINFOHEADER

/// Throws Error image_unsupported (an older header; compression, 16 bits a pixel) or image_corrupt: it ends within its
/// header.
inline BmpHeader read_bmp_header(std::span<const std::byte> file) {
  constexpr std::uint32_t kinds[] = {40, 52, 56, 64, 108, 124};                  // bytes; older ones have other fields
  const std::uint32_t kind = file.size() < 18 ? 0 : little_endian(file, 14, 4);  // 0: perhaps a text that begins so
  if (std::find(std::begin(kinds), std::end(kinds), kind) == std::end(kinds)) {
    throw Error(ErrorCode::image_unsupported,
                "BMP: expected a header of Windows 3 or later, found one of " + std::to_string(kind) + " bytes");
  }
  if (file.size() < kPlainBmpHeader) throw Error(ErrorCode::image_corrupt, "BMP: it ends within its header");
  BmpHeader header;
  header.width = little_endian(file, 18, 4);
  const std::uint32_t height = little_endian(file, 22, 4);
  header.height = static_cast<std::int32_t>(height) < 0 ? 0u - height : height;  // negative: rows from the top
  header.bits = little_endian(file, 28, 2);
  const std::uint32_t compression = little_endian(file, 30, 4);
  constexpr std::uint32_t known_bits[] = {1, 4, 8, 24, 32};
  if (compression != 0 ||
      std::find(std::begin(known_bits), std::end(known_bits), header.bits) == std::end(known_bits)) {
    throw Error(ErrorCode::image_unsupported, "BMP: expected uncompressed 1, 4, 8, 24 or 32 bits a pixel, found " +
                                                  std::to_string(header.bits) + " bits, compression " +
                                                  std::to_string(compression));
  }
  const std::uint64_t row_bits = std::uint64_t{header.width} * header.bits;
  header.row_bytes = (row_bits + 31) / 32 * 4;
  header.row_padding = header.row_bytes - (row_bits + 7) / 8;
  header.palette_at = 14 + std::uint64_t{kind};
  const std::uint32_t colours = little_endian(file, 46, 4);
  header.colours = colours != 0 ? colours : std::uint64_t{1} << header.bits;
  const std::uint32_t told = little_endian(file, 10, 4);
  header.pixels_at = told == 0 ? header.palette_at : told;
  if (header.pixels_at == header.palette_at && header.bits <= 8) header.pixels_at += 4 * header.colours;  // forgotten
  header.is_plain = header.palette_at == kPlainBmpHeader && little_endian(file, 26, 2) == 1 &&
                    told == header.palette_at + 4 * header.named_colours();
  return header;
}

/// Throws Error image_corrupt where the rows are not in the file, or begin within its header.
inline void check_bmp_rows(const BmpHeader& header, std::size_t file_bytes) {
  if (header.pixels_at > file_bytes ||
      header.row_bytes * header.height - header.row_padding > file_bytes - header.pixels_at) {
    throw Error(ErrorCode::image_corrupt, "BMP: it ends before its last row");
  }
  if (header.pixels_at < header.palette_at) {
    throw Error(ErrorCode::image_corrupt, "BMP: its pixels begin within its header");
  }
}

/// Whether colour i of the palette is gray i: Pillow's mode "L" then, which is interpolated; one of two colours never
/// is.
inline bool is_gray_ramp(const BmpHeader& header, std::span<const std::byte> file) {
  if (header.bits != 8 || header.colours == 2) return false;
  for (std::uint64_t i = 0; i < header.colours; ++i) {
    const std::uint64_t at = header.palette_at + 4 * i;
    if (at + 4 > file.size() || little_endian(file, static_cast<std::size_t>(at), 3) != i * 0x010101) return false;
  }
  return true;
}

/// A BMP that check_bmp_rows has accepted, as stb_image expects it: the shortest header, of one plane, all colours
/// behind it, black those that the palette lacks (the next grays in a `gray` one), the pixels right behind those, and
/// the last row as long as the others.  Empty where the file is so already.
inline std::vector<std::byte> plain_bmp(std::span<const std::byte> file, const BmpHeader& header, bool gray) {
  // of four bytes each; they may run into the pixels, of which they then consist
  const std::uint64_t there = std::min({header.colours, header.named_colours(), (file.size() - header.palette_at) / 4});
  if (header.is_plain && there == header.named_colours() &&
      header.row_bytes * header.height <= file.size() - header.pixels_at) {
    return {};
  }
  const auto at = [&](std::uint64_t offset) { return file.begin() + static_cast<std::ptrdiff_t>(offset); };
  const std::uint64_t end = kPlainBmpHeader + 4 * header.named_colours();
  constexpr std::size_t most_padding = 3;
  std::vector<std::byte> plain;
  plain.reserve(static_cast<std::size_t>(end + file.size() - header.pixels_at + most_padding));
  plain.assign(file.begin(), at(kPlainBmpHeader));
  plain.insert(plain.end(), at(header.palette_at), at(header.palette_at + 4 * there));
  for (std::uint64_t i = there; i < header.named_colours(); ++i) {
    plain.insert(plain.end(), 4, gray ? static_cast<std::byte>(i) : std::byte{0});
  }
  plain.insert(plain.end(), at(header.pixels_at), file.end());
  plain.resize(plain.size() + most_padding);
  for (std::size_t i = 0; i < 4; ++i) plain[10 + i] = static_cast<std::byte>(end >> (8 * i));
  plain[26] = std::byte{1};  // planes
  plain[27] = std::byte{0};
  plain[14] = std::byte{40};  // the header's size without the first 14 bytes; it fits a byte in every version
  return plain;
}

}  // namespace clipon::inline CLIPON_ABI::image

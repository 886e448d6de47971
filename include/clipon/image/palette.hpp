// Palettes that lack colours which pixels can name, and bitmaps laid out as stb_image 2.27 does not expect them.
// Layer 3; called by decoders.hpp.
// In Pillow such pixels are black.  stb_image takes their colours from memory that nothing was written to, so what is
// missing is put into a copy of the file that it decodes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::image {

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

/// Where a BMP has its palette and its pixels, as Pillow reads them.
struct BmpLayout {
  std::size_t palette = 0;
  std::size_t palette_bytes = 0;  // of its colours, four each; they may run into the pixels, of which they then consist
  std::size_t pixels = 0;
  std::size_t colours = 0;  // that pixels can name; 0 without a palette
  bool gray = false;        // colour i is gray i, those that the palette lacks too
};

/// The same BMP with the shortest header, of one plane, all colours behind it, the pixels right behind those, and the
/// last row as long as the others.
inline std::vector<std::byte> with_plain_bmp_layout(std::span<const std::byte> file, const BmpLayout& layout) {
  constexpr std::size_t header = 54;
  const auto at = [&](std::size_t offset) { return file.begin() + static_cast<std::ptrdiff_t>(offset); };
  const std::size_t end = header + 4 * layout.colours;
  std::vector<std::byte> plain;
  constexpr std::size_t most_padding = 3;
  plain.reserve(end + file.size() - layout.pixels + most_padding);
  plain.assign(file.begin(), at(header));
  plain.insert(plain.end(), at(layout.palette), at(layout.palette + layout.palette_bytes));
  for (std::size_t i = layout.palette_bytes / 4; i < layout.colours; ++i) {
    plain.insert(plain.end(), 4, layout.gray ? static_cast<std::byte>(i) : std::byte{0});
  }
  plain.insert(plain.end(), at(layout.pixels), file.end());
  plain.resize(plain.size() + most_padding);
  for (std::size_t i = 0; i < 4; ++i) plain[10 + i] = static_cast<std::byte>(end >> (8 * i));
  plain[26] = std::byte{1};  // planes
  plain[27] = std::byte{0};
  plain[14] = std::byte{40};  // the header's size without the first 14 bytes; it fits a byte in every version
  return plain;
}

}  // namespace clipon::inline CLIPON_ABI::image

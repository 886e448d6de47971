// Palettes that lack colours which pixels can name.  Layer 3; called by decoders.hpp.
// In Pillow such pixels are black.  stb_image 2.27 takes their colours from memory that nothing was written to, so what
// is missing is put into a copy of the file that it decodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::image {

/// `file` with `count` zeros at `at`.
inline std::vector<std::byte> with_zeros(std::span<const std::byte> file, std::size_t at, std::size_t count) {
  std::vector<std::byte> whole;
  whole.reserve(file.size() + count);
  whole.assign(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(at));
  whole.resize(at + count);
  whole.insert(whole.end(), file.begin() + static_cast<std::ptrdiff_t>(at), file.end());
  return whole;
}

/// A PNG whose PLTE chunk at `chunk`, of `bytes`, has 2^bits colours.  Its checksum is not mended: stb_image reads
/// none.
inline std::vector<std::byte> with_whole_png_palette(std::span<const std::byte> file, std::size_t chunk,
                                                     std::size_t bytes, int bits) {
  const std::size_t needed = std::size_t{3} << bits;
  std::vector<std::byte> whole = with_zeros(file, chunk + 8 + bytes, needed - bytes);
  for (std::size_t i = 0; i < 4; ++i) whole[chunk + i] = static_cast<std::byte>(needed >> (8 * (3 - i)));
  return whole;
}

/// A BMP whose palette, from `palette` to `pixels`, has 2^bits colours.
inline std::vector<std::byte> with_whole_bmp_palette(std::span<const std::byte> file, std::size_t palette,
                                                     std::size_t pixels, std::uint32_t bits) {
  const std::size_t end = palette + (std::size_t{4} << bits);
  std::vector<std::byte> whole = with_zeros(file, pixels, end - pixels);
  for (std::size_t i = 0; i < 4; ++i) whole[10 + i] = static_cast<std::byte>(end >> (8 * i));
  return whole;
}

}  // namespace clipon::inline CLIPON_ABI::image

// Turns a picture upright as its Exif orientation says.  Layer 3; called by decoders.hpp when asked for.
// Exif 2.3, 4.6.4: the value says which edges of the scene row 0 and column 0 show.
#pragma once

#include "clipon/image/pixels.hpp"

namespace clipon::inline CLIPON_ABI::image {

/// orientation 1..8; 5..8 swap width and height.
inline Pixels upright(Pixels pixels, int orientation) {
  if (orientation < 2 || orientation > 8) return pixels;
  const bool transposed = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Pixels out(transposed ? pixels.height : pixels.width, transposed ? pixels.width : pixels.height, pixels.layout,
             pixels.nearest);
  const index_t channels = channels_of(pixels.layout);
  std::uint8_t* target = out.data.data();
  for (index_t y = 0; y < out.height; ++y) {
    for (index_t x = 0; x < out.width; ++x, target += channels) {
      index_t column = transposed ? y : x;  // in the stored picture
      index_t row = transposed ? x : y;
      if (from_right) column = pixels.width - 1 - column;
      if (from_bottom) row = pixels.height - 1 - row;
      std::memcpy(target, pixels.row(row) + column * channels, static_cast<std::size_t>(channels));
    }
  }
  return out;
}

}  // namespace clipon::inline CLIPON_ABI::image

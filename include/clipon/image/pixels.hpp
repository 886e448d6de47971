// A decoded picture in the channels that its file has.  Layer 3; made by decode.hpp and Image, read by preprocess.hpp.
// Pillow resizes a picture in its own mode and converts to RGB afterwards, so the mode must survive until then.
#pragma once

#include <cstring>

#include "clipon/core/aligned.hpp"
#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::image {

/// Channels of a pixel, 8 bits each, in Pillow's terms.
enum class Layout : std::uint8_t {
  gray,        // "L"
  gray_alpha,  // "LA"
  rgb,         // "RGB"
  rgba,        // "RGBA"
  cmyk,        // "CMYK", 255 is full ink
};

constexpr index_t channels_of(Layout layout) {
  switch (layout) {
    case Layout::gray:
      return 1;
    case Layout::gray_alpha:
      return 2;
    case Layout::rgb:
      return 3;
    case Layout::rgba:
    case Layout::cmyk:
      return 4;
  }
  return 0;
}

struct Pixels {
  // Kernels load whole registers: up to 15 bytes beyond the last pixel are read, and multiplied by zero.
  static constexpr index_t kTail = 64;

  Pixels() = default;
  Pixels(index_t w, index_t h, Layout channels, bool takes_nearest = false)
      : width(w), height(h), layout(channels), nearest(takes_nearest) {
    data = AlignedBuffer<std::uint8_t>(static_cast<std::size_t>(bytes() + kTail));
    std::memset(data.data() + bytes(), 0, static_cast<std::size_t>(kTail));
  }

  [[nodiscard]] index_t stride() const { return width * channels_of(layout); }
  [[nodiscard]] index_t bytes() const { return height * stride(); }
  [[nodiscard]] const std::uint8_t* row(index_t y) const { return data.data() + y * stride(); }

  index_t width = 0;
  index_t height = 0;
  Layout layout = Layout::rgb;
  bool nearest = false;              // palette and 1-bit pictures, which Pillow resizes without interpolation
  AlignedBuffer<std::uint8_t> data;  // [height, width, channels], and kTail zeros
};

}  // namespace clipon::inline CLIPON_ABI::image

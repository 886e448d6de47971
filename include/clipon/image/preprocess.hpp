// A picture to the model's square of RGB bytes: resize, centre crop, convert to RGB.  Layer 3; called by Model and
// bench/resize.cpp.  openai/CLIP clip/clip.py, _transform; the arithmetic of sizes is torchvision's.
#pragma once

#include <array>
#include <cstdint>

#include "clipon/error.hpp"
#include "clipon/image/resize.hpp"

namespace clipon::inline CLIPON_ABI::image {

enum class ResizeMode : std::uint8_t {
  shortest,  // the short side becomes the model's size, then the middle is cut out
  squash,    // both sides become the model's size
};

/// What a model file says of the pictures that the model was trained on.
struct PreprocessConfig {
  index_t size = 0;                // pixels of a side
  std::array<float, 3> mean = {};  // of RGB in 0..1
  std::array<float, 3> std = {};
  ResizeMode resize_mode = ResizeMode::shortest;
  Interpolation interpolation = Interpolation::bicubic;
};

/// (length - size) / 2, halves to even: Python's round() in torchvision's center_crop.
constexpr index_t crop_offset(index_t length, index_t size) {
  const index_t twice = length - size;
  const index_t down = twice / 2;
  return twice % 2 == 0 || down % 2 == 0 ? down : down + 1;
}

/// picture -> out [size, size, 3].  A picture of an alpha channel loses it, as in the reference: what is wholly
/// transparent comes out black where the picture is resized, and in the colour that the file hides there where its size
/// fits already.
inline void preprocess(const kernels::KernelTable& kernels, const Pixels& pixels, const PreprocessConfig& config,
                       std::uint8_t* out) {
  if (pixels.width < 1 || pixels.height < 1) {
    throw Error(ErrorCode::invalid_argument, "picture: expected at least one pixel, found none");
  }
  const index_t size = config.size;
  index_t width = size;
  index_t height = size;
  if (config.resize_mode == ResizeMode::shortest) {
    // int(size * long / short); exact, since a quotient of such numbers is no nearer to a whole one than 1 / short
    if (pixels.width <= pixels.height) {
      height = size * pixels.height / pixels.width;
    } else {
      width = size * pixels.width / pixels.height;
    }
  }
  const AxisWindow columns{pixels.width, width, crop_offset(width, size), size};
  const AxisWindow rows{pixels.height, height, crop_offset(height, size), size};
  resize_window(kernels, pixels, columns, rows, config.interpolation, out);
}

}  // namespace clipon::inline CLIPON_ABI::image

// The pictures of one pass, as the towers read them: RGB bytes of the model's size that are normalised on the way in,
// or floats that the caller normalised.  Layer 4.
#pragma once

#include <array>
#include <vector>

#include "clipon/nn/linear.hpp"

namespace clipon::inline CLIPON_ABI::models {

/// (value / 255 - mean) / std = value * scale + offset, for one row of interleaved RGB pixels.
/// openai/CLIP clip/clip.py, _transform: ToTensor, Normalize.
struct Normalisation {
  std::vector<float> scale;   // [image_size, 3]
  std::vector<float> offset;  // [image_size, 3]

  Normalisation() = default;
  Normalisation(index_t image_size, const std::array<float, 3>& mean, const std::array<float, 3>& std) {
    for (index_t x = 0; x < image_size; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        scale.push_back(static_cast<float>(1.0 / (255.0 * std[c])));
        offset.push_back(static_cast<float>(-double{mean[c]} / std[c]));
      }
    }
  }
};

struct ImageInput {
  const std::uint8_t* bytes = nullptr;  // [pictures, size, size, 3], or null
  const float* floats = nullptr;        // [pictures, 3, size, size], where bytes is null
  index_t size = 0;
  const Normalisation* normalisation = nullptr;

  /// Pixels x .. x + n of row y of a picture, normalised: out [n, 3].
  void row(const nn::Context& context, index_t picture, index_t y, index_t x, index_t n, float* out) const {
    if (bytes != nullptr) {
      const std::uint8_t* pixels = bytes + ((picture * size + y) * size + x) * 3;
      context.kernels->normalise_pixels(pixels, normalisation->scale.data(), normalisation->offset.data(), n * 3, out);
      return;
    }
    for (index_t c = 0; c < 3; ++c) {
      const float* plane = floats + ((picture * 3 + c) * size + y) * size + x;
      for (index_t i = 0; i < n; ++i) out[i * 3 + c] = plane[i];
    }
  }

  /// A picture cut into patches: out [grid * grid, patch * patch * 3], each patch in the order (y, x, rgb).  Rows of
  /// the picture are read from end to end, as prefetchers expect.
  void patches(const nn::Context& context, index_t picture, index_t patch, float* out) const {
    const index_t grid = size / patch;
    parallel::parallel_for(context.threads, grid, [&](index_t gy) {
      for (index_t y = 0; y < patch; ++y) {
        for (index_t gx = 0; gx < grid; ++gx) {
          row(context, picture, gy * patch + y, gx * patch, patch, out + ((gy * grid + gx) * patch + y) * patch * 3);
        }
      }
    });
  }
};

}  // namespace clipon::inline CLIPON_ABI::models

// Feature maps of a ResNet, [pictures, height, width, channels], f32 or bf16, and the order of a convolution's weights
// that suits them.  Layer 3; used by the convolutions.
#pragma once

#include <algorithm>

#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// Height and width of a map, and of how many pictures; its channels are the layer's.
struct MapSize {
  index_t pictures = 1;
  index_t height = 0;
  index_t width = 0;
  [[nodiscard]] index_t pixels() const { return pictures * height * width; }
  [[nodiscard]] MapSize half() const { return {pictures, height / 2, width / 2}; }
};

/// An output's weights [in, kernel, kernel] -> [kernel, line]: of each line of the kernel its inputs in the order
/// (kx, channel), which is how a line of a map lies, and zeros where `line` is more than kernel * in.
inline void channels_last(const float* weights, index_t in, index_t kernel, index_t line, float* lines) {
  for (index_t ky = 0; ky < kernel; ++ky) std::fill_n(lines + ky * line + kernel * in, line - kernel * in, 0.0f);
  for (index_t c = 0; c < in; ++c) {
    for (index_t ky = 0; ky < kernel; ++ky) {
      float* target = lines + ky * line + c;
      for (index_t kx = 0; kx < kernel; ++kx) target[kx * in] = *weights++;
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::nn

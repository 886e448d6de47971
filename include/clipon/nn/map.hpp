// Feature maps of a ResNet: [pictures, height, width, channels], f32 or bf16.  Layer 3; used by the convolutions.
#pragma once

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

}  // namespace clipon::inline CLIPON_ABI::nn

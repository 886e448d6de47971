// The matrix products of a model: out [m, n] = A [m, k] W [n, k]^T.  Called by main.cpp.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "architectures.hpp"

namespace bench {

struct Shape {
  index_t m;
  index_t n;
  index_t k;
  std::string what;
};

inline void add_shape(std::vector<Shape>& shapes, const Shape& shape) {
  for (const Shape& s : shapes) {
    if (s.m == shape.m && s.n == shape.n && s.k == shape.k) return;
  }
  shapes.push_back(shape);
}

inline void add_block(std::vector<Shape>& shapes, index_t m, index_t width) {
  add_shape(shapes, {m, 3 * width, width, "query_key_value"});
  add_shape(shapes, {m, width, width, "out"});
  add_shape(shapes, {m, 4 * width, width, "c_fc"});
  add_shape(shapes, {m, width, 4 * width, "c_proj"});
}

/// Convolutions as products: 1 x 1 has k = channels, 3 x 3 has k = 9 channels; m is the pixels of the output map.
inline void add_resnet(std::vector<Shape>& shapes, const Architecture& a) {
  index_t side = a.image_size / 2;
  add_shape(shapes, {side * side, a.width / 2, 27, "stem 3x3"});
  add_shape(shapes, {side * side, a.width / 2, 9 * a.width / 2, "stem 3x3"});
  add_shape(shapes, {side * side, a.width, 9 * a.width / 2, "stem 3x3"});
  side /= 2;
  index_t in = a.width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const index_t planes = a.width << stage;
    const std::string name = "stage " + std::to_string(stage);
    for (index_t block = 0; block < std::min<index_t>(a.layers[stage], 2); ++block, in = 4 * planes) {
      add_shape(shapes, {side * side, planes, in, name + " conv1 1x1"});
      add_shape(shapes, {side * side, planes, 9 * planes, name + " conv2 3x3"});
      if (block == 0 && stage > 0) side /= 2;
      add_shape(shapes, {side * side, 4 * planes, planes, name + " conv3 1x1"});
      if (block == 0) add_shape(shapes, {side * side, 4 * planes, in, name + " downsample 1x1"});
    }
  }
}

/// Every shape of both towers: a ViT's at one picture and at 32, a ResNet's at one, the texts' at 64 of 10 tokens.
inline std::vector<Shape> shapes_of(const Architecture& a) {
  std::vector<Shape> shapes;
  if (a.is_vit()) {
    const index_t patches = a.tokens() - 1;
    for (const index_t pictures : {index_t{1}, index_t{32}}) {
      add_shape(shapes, {pictures * patches, a.width, 3 * a.patch_size * a.patch_size, "patch embedding"});
      add_block(shapes, pictures * a.tokens(), a.width);
    }
  } else {
    add_resnet(shapes, a);
  }
  add_block(shapes, 640, a.text_width);
  return shapes;
}

}  // namespace bench

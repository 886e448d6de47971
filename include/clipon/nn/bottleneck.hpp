// The residual block of ModifiedResNet.  Layer 3.  openai/CLIP clip/model.py, Bottleneck:
//   x = relu(conv3(pool(relu(conv2(relu(conv1(x)))))) + shortcut(x)),  shortcut = downsample(pool(x)) or x
#pragma once

#include <optional>

#include "clipon/nn/average_pool.hpp"
#include "clipon/nn/conv2d.hpp"
#include "clipon/nn/conv3x3.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Bottleneck {
  Conv2d conv1;                      // 1 x 1, in -> planes
  Conv3x3 conv2;                     // 3 x 3, planes -> planes
  Conv2d conv3;                      // 1 x 1, planes -> 4 planes
  std::optional<Conv2d> downsample;  // 1 x 1, in -> 4 planes, after pooling; the first block of each stage
  bool pool = false;                 // 2 x 2 average pooling before conv3 and downsample: the antialiased stride

  [[nodiscard]] MapSize output_size(MapSize size) const { return pool ? size.half() : size; }
  [[nodiscard]] index_t out_channels() const { return conv3.out_channels(); }
  [[nodiscard]] DataType map_type() const { return conv2.map_type(); }
};

/// What a block needs for maps of `size`: elements of the maps' type, and bytes.
struct BottleneckSizes {
  index_t in = 0;          // [size, in]
  index_t out = 0;         // [output_size, 4 planes]
  index_t a = 0;           // conv1's output, then the pooled input
  index_t b = 0;           // conv2's output
  index_t conv_bytes = 0;  // of the convolutions themselves
};

inline BottleneckSizes bottleneck_sizes(const Context& context, const Bottleneck& block, MapSize size) {
  const index_t in = block.conv1.in_channels;
  const index_t planes = block.conv1.out_channels();
  const index_t out_pixels = block.output_size(size).pixels();
  // downsample reads as many channels as conv1
  const index_t narrow = std::max(conv_scratch_bytes(context, block.conv1), conv_scratch_bytes(context, block.conv3));
  return {size.pixels() * in, out_pixels * block.out_channels(),
          std::max(size.pixels() * planes, block.pool ? out_pixels * in : 0), out_pixels * planes,
          std::max(narrow, conv3x3_scratch_bytes(context, block.conv2, size, block.pool))};
}

struct BottleneckScratch {
  void* a = nullptr;
  void* b = nullptr;
  unsigned char* conv = nullptr;
};

/// x [size, in] -> out [output_size(size), 4 planes], f32 or bf16; `out` may be x where there is no downsample.
inline void forward(const Context& context, const Bottleneck& block, const void* x, MapSize size, void* out,
                    const BottleneckScratch& s) {
  const DataType type = block.map_type();
  const index_t planes = block.conv1.out_channels();
  const index_t channels = block.out_channels();
  const MapSize out_size = block.output_size(size);
  Output to_a{s.a, planes, Activation::relu};
  to_a.type = type;
  forward(context, block.conv1, {x, block.conv1.in_channels, type}, size, to_a, s.conv);
  forward(context, block.conv2, s.a, size, block.pool, s.b, s.conv);
  const void* shortcut = x;
  if (block.downsample) {
    if (block.pool) {
      average_pool(context, x, type, size, block.conv1.in_channels, s.a);
      shortcut = s.a;
    }
    Output to_out{out, channels};
    to_out.type = type;
    forward(context, *block.downsample, {shortcut, block.conv1.in_channels, type}, out_size, to_out, s.conv);
    shortcut = out;  // each element is read before it is written
  }
  Output last{out, channels, Activation::relu, nullptr, channels, type};
  if (type == DataType::f32) {
    last.residual = static_cast<const float*>(shortcut);
  } else {
    last.residual_bf16 = static_cast<const std::uint16_t*>(shortcut);
  }
  forward(context, block.conv3, {s.b, planes, type}, out_size, last, s.conv);
}

}  // namespace clipon::inline CLIPON_ABI::nn

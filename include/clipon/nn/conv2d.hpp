// Convolution of NHWC maps: 1 x 1 as a plain matrix product, 3 x 3 (padding 1) as an implicit one: the rows of a block
// are gathered from the map just before they are multiplied.  Layer 3; used by ModifiedResNet.  torch.nn.Conv2d with
// the BatchNorm that follows it folded in by the converter.
#pragma once

#include <algorithm>

#include "clipon/nn/linear.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Conv2d {
  Linear linear;  // [out, kernel * kernel * in], inputs in the order (ky, kx, channel)
  index_t in_channels = 0;
  index_t kernel = 1;  // 1 or 3
  index_t stride = 1;  // 1, or 2 in the stem

  [[nodiscard]] index_t out_channels() const { return linear.outputs(); }
};

/// Height and width of a map; its channels are the layer's.
struct MapSize {
  index_t height = 0;
  index_t width = 0;
  [[nodiscard]] index_t pixels() const { return height * width; }
};

inline MapSize output_size(const Conv2d& conv, MapSize in) {
  return {(in.height + conv.stride - 1) / conv.stride, (in.width + conv.stride - 1) / conv.stride};
}

// Row `pixel` of the implicit matrix: the 3 x 3 neighbourhood of one output pixel, zeros outside the map.
inline void gather_neighbourhood(const Conv2d& conv, const float* in, MapSize size, index_t out_width, index_t pixel,
                                 float* row) {
  const index_t channels = conv.in_channels;
  const index_t top = pixel / out_width * conv.stride - 1;
  const index_t left = pixel % out_width * conv.stride - 1;
  for (index_t ky = 0; ky < 3; ++ky, row += 3 * channels) {
    const index_t y = top + ky;
    if (y < 0 || y >= size.height) {
      std::fill_n(row, 3 * channels, 0.0f);
      continue;
    }
    const index_t from = std::max(left, index_t{0});
    const index_t to = std::min(left + 3, size.width);
    std::fill(row, row + (from - left) * channels, 0.0f);
    std::copy_n(in + (y * size.width + from) * channels, (to - from) * channels, row + (from - left) * channels);
    std::fill(row + (to - left) * channels, row + 3 * channels, 0.0f);
  }
}

/// Floats of scratch for a 3 x 3 convolution: a block of gathered rows a thread.
inline index_t conv_scratch_floats(const Context& context, const Conv2d& conv) {
  if (conv.kernel == 1) return 0;
  return context.threads.count * kernels::block_rows(*context.kernels, conv.linear.inputs(), conv.linear.type()) *
         conv.linear.inputs();
}

/// in [height, width, in_channels] -> out [height', width', out_channels], with bias, residual and activation.
inline void forward(const Context& context, const Conv2d& conv, const float* in, MapSize size, const Output& out,
                    float* scratch) {
  if (conv.kernel == 1) return forward(context, conv.linear, {in, conv.in_channels}, size.pixels(), out);
  const MapSize out_size = output_size(conv, size);
  const index_t depth = conv.linear.inputs();
  const index_t height = kernels::block_rows(*context.kernels, depth, conv.linear.type());
  const index_t blocks = (out_size.pixels() + height - 1) / height;
  const index_t teams = std::min<index_t>(context.threads.count, blocks);
  const Context alone = context.alone();
  parallel::parallel_for(context.threads, teams, [&](index_t team) {
    float* rows = scratch + team * height * depth;  // [height, depth]
    for (index_t block = team; block < blocks; block += teams) {
      const index_t first = block * out_size.pixels() / blocks;
      const index_t count = (block + 1) * out_size.pixels() / blocks - first;
      {
        const auto span = alone.timed({"gather", DataType::f32, depth, 0, 0, static_cast<double>(count)});
        for (index_t i = 0; i < count; ++i) {
          gather_neighbourhood(conv, in, size, out_size.width, first + i, rows + i * depth);
        }
      }
      Output part = out;
      part.data = static_cast<float*>(out.data) + first * out.stride;
      if (part.residual != nullptr) part.residual += first * out.residual_stride;
      forward(alone, conv.linear, {rows, depth}, count, part);
    }
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

// Convolutions of NHWC maps that are one matrix product: 1 x 1 as they stand, and the stem's 3 x 3 of stride 2
// (padding 1) on rows gathered from the picture.  Layer 3; used by ModifiedResNet.  torch.nn.Conv2d with the BatchNorm
// that follows it folded in by the converter.  Those of 3 x 3 and stride 1 are nn/conv3x3.hpp's.
#pragma once

#include <algorithm>

#include "clipon/nn/map.hpp"
#include "clipon/nn/operand.hpp"
#include "clipon/nn/row_shares.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Conv2d {
  Linear linear;  // [out, kernel * kernel * in], inputs in the order (ky, kx, channel)
  index_t in_channels = 0;
  index_t kernel = 1;  // 1 with stride 1, or 3 with stride 2 on f32 maps

  [[nodiscard]] index_t out_channels() const { return linear.outputs(); }
};

// Bytes of a block of rows that a thread prepares for a product.
inline index_t prepared_bytes(const Context& context, const Linear& linear) {
  const index_t rows = kernels::block_rows(*context.kernels, linear.inputs(), linear.type());
  return operand_bytes(linear.type(), rows, linear.inputs());
}

/// Bytes of scratch for a convolution whose rows aren't the map's own: a block of them a thread.
inline index_t conv_scratch_bytes(const Context& context, const Conv2d& conv) {
  const bool as_they_stand = conv.kernel == 1 && !is_integer(conv.linear.type());
  return as_they_stand ? 0 : context.threads.count * prepared_bytes(context, conv.linear);
}

inline Output output_from_row(Output out, index_t row) {
  out.data = static_cast<unsigned char*>(out.data) + row * out.stride * static_cast<index_t>(size_of(out.type));
  if (out.residual != nullptr) out.residual += row * out.residual_stride;
  if (out.residual_bf16 != nullptr) out.residual_bf16 += row * out.residual_stride;
  return out;
}

// out = linear(rows), a block at a time: prepare(first, count, target) makes `count` of them in the weight's type.
template <class Prepare>
void forward_prepared(const Context& context, const Linear& linear, index_t rows, const Output& out,
                      unsigned char* scratch, const char* name, const Prepare& prepare) {
  const index_t depth = linear.inputs();
  const index_t height = kernels::block_rows(*context.kernels, depth, linear.type());
  const index_t blocks = std::max((rows + height - 1) / height, std::min<index_t>(context.threads.count, rows));
  const Context alone = context.alone();
  parallel::parallel_for_on_threads(context.threads, blocks, [&](index_t b, index_t thread) {
    OperandRows block{scratch + thread * prepared_bytes(context, linear), kernels::padded_depth(linear.type(), depth),
                      linear.type(), nullptr};
    if (is_integer(linear.type())) {  // the scales behind the rows, as operand_bytes counts them
      const index_t bytes = height * block.stride * static_cast<index_t>(size_of(block.type));
      auto* end = static_cast<unsigned char*>(block.data) + Scratch::size_for<unsigned char>(bytes);
      block.scales = reinterpret_cast<kernels::RowScale*>(end);
    }
    const index_t first = b * rows / blocks;
    const index_t count = (b + 1) * rows / blocks - first;
    {
      const auto span = alone.timed({name, linear.type(), depth, 0, 0, static_cast<double>(count)});
      prepare(first, count, block);
    }
    forward(alone, linear, block.read(), count, output_from_row(out, first));
  });
}

// Row `pixel` of the implicit matrix: the 3 x 3 neighbourhood of one output pixel, zeros outside the map.
inline void gather_neighbourhood(index_t channels, const float* in, MapSize size, index_t pixel, float* row) {
  const index_t out_width = (size.width + 1) / 2;
  const index_t top = pixel / out_width * 2 - 1;
  const index_t left = pixel % out_width * 2 - 1;
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

/// 1 x 1: in [pixels, in_channels] in f32 or bf16 -> out [pixels, out_channels], with bias, residual and activation.
inline void forward(const Context& context, const Conv2d& conv, const Operand& in, MapSize size, const Output& out,
                    unsigned char* scratch) {
  const index_t pixels = size.pixels();
  if (conv.linear.type() == in.type) {  // a thread finds what the layer before wrote of its rows in its own cache
    const bool enough = pixels >= context.threads.count * context.kernels->least_rows_alone(in.type);
    return for_row_shares(context, pixels, enough, [&](const Context& own, index_t first, index_t count) {
      forward(own, conv.linear, in.from_row(first), count, output_from_row(out, first));
    });
  }
  const auto prepare = [&](index_t first, index_t count, const OperandRows& rows) {
    context.kernels->quantise(in.from_row(first), count, conv.in_channels, rows);
  };
  forward_prepared(context, conv.linear, pixels, out, scratch, "quantise", prepare);
}

/// 3 x 3, stride 2: one map in [height, width, in_channels] -> out [height / 2, width / 2, out_channels], rounded up.
inline MapSize forward_strided(const Context& context, const Conv2d& conv, const float* in, MapSize size,
                               const Output& out, unsigned char* scratch) {
  const MapSize out_size{1, (size.height + 1) / 2, (size.width + 1) / 2};
  const auto prepare = [&](index_t first, index_t count, const OperandRows& rows) {
    auto* row = static_cast<float*>(rows.data);
    for (index_t i = 0; i < count; ++i, row += rows.stride) {
      gather_neighbourhood(conv.in_channels, in, size, first + i, row);
    }
  };
  forward_prepared(context, conv.linear, out_size.pixels(), out, scratch, "gather", prepare);
  return out_size;
}

}  // namespace clipon::inline CLIPON_ABI::nn

// From tensors of a file to layers: reads, checks the shape, packs.  Layer 4; called by the towers' constructors.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clipon/format/weights.hpp"
#include "clipon/models/config.hpp"
#include "clipon/nn/attention_pool.hpp"
#include "clipon/nn/conv2d.hpp"
#include "clipon/nn/transformer_block.hpp"
#include "clipon/nn/winograd.hpp"

namespace clipon::inline CLIPON_ABI::models {

inline kernels::StoredMatrix stored(const format::TensorView& view) {
  return {view.data, view.scale, view.type, view.rows, view.columns};
}

/// Everything that building a tower needs.  With weights of only shapes the layers come out empty: what is wrong with a
/// file's tensors is known before any memory is taken for them.
struct Builder {
  format::Weights& weights;
  nn::Context context;            // the kernels and threads that pack
  DataType type = DataType::f32;  // that the blocks compute in

  /// NAME.weight [outputs, inputs] and, where asked for, NAME.bias [outputs].
  nn::Linear linear(const std::string& name, index_t outputs, index_t inputs, DataType compute, bool bias = true) {
    return {kernels::PackedMatrix(context, stored(weights.get(name + ".weight", {outputs, inputs})), compute),
            bias ? weights.get_vector(name + ".bias", {outputs}) : std::vector<float>{}};
  }

  nn::LayerNorm layer_norm(const std::string& name, index_t width, float epsilon) {
    return {weights.get_vector(name + ".weight", {width}), weights.get_vector(name + ".bias", {width}), epsilon};
  }

  /// Two matrices of the same width, one above the other: keys and values in one product.
  nn::Linear stacked(const std::string& first, const std::string& second, index_t outputs, index_t inputs) {
    const index_t rows = weights.only_shapes() ? 0 : outputs;
    AlignedBuffer<float> wide(static_cast<std::size_t>(2 * rows * inputs));  // [2 outputs, inputs]
    std::vector<float> bias;
    index_t row = 0;
    for (const std::string& name : {first, second}) {
      const kernels::StoredMatrix w = stored(weights.get(name + ".weight", {outputs, inputs}));
      for (index_t r = 0; r < rows; ++r, ++row) context.kernels->widen(w, r, 0, inputs, wide.data() + row * inputs);
      const auto part = weights.get_vector(name + ".bias", {outputs});
      bias.insert(bias.end(), part.begin(), part.end());
    }
    const kernels::StoredMatrix both{wide.data(), nullptr, DataType::f32, 2 * rows, inputs};
    return {kernels::PackedMatrix(context, both, type), std::move(bias)};
  }

  /// NAME.weight as floats, [rows, columns].
  AlignedBuffer<float> widened(const std::string& name, const format::TensorShape& shape) {
    const kernels::StoredMatrix w = stored(weights.get(name + ".weight", shape));
    AlignedBuffer<float> wide(static_cast<std::size_t>(w.rows * w.columns));
    for (index_t r = 0; r < w.rows; ++r) context.kernels->widen(w, r, 0, w.columns, wide.data() + r * w.columns);
    return wide;
  }

  /// A convolution's weight [out, in, k, k] with its inputs in the order (ky, kx, channel) of NHWC maps and RGB pixels.
  nn::Linear channels_last(const std::string& name, index_t out, index_t in, index_t kernel, DataType compute,
                           bool bias) {
    const index_t area = kernel * kernel;
    const AlignedBuffer<float> wide = widened(name, {out, in, kernel, kernel});
    auto offsets = bias ? weights.get_vector(name + ".bias", {out}) : std::vector<float>{};
    if (weights.only_shapes()) out = 0;
    AlignedBuffer<float> permuted(wide.size());  // [out, area, in]
    for (index_t o = 0; o < out; ++o) {
      const float* row = wide.data() + o * in * area;  // [in, area]
      float* target = permuted.data() + o * in * area;
      for (index_t c = 0; c < in; ++c) {
        for (index_t a = 0; a < area; ++a) target[a * in + c] = row[c * area + a];
      }
    }
    const kernels::StoredMatrix matrix{permuted.data(), nullptr, DataType::f32, out, in * area};
    return {kernels::PackedMatrix(context, matrix, compute), std::move(offsets)};
  }

  nn::Conv2d conv2d(const std::string& name, index_t out, index_t in, index_t kernel, DataType compute) {
    return {channels_last(name, out, in, kernel, compute, true), in, kernel};
  }

  /// A 3 x 3 convolution of stride 1 on maps of side x side pixels.
  nn::Winograd winograd(const std::string& name, index_t out, index_t in, index_t side, DataType compute) {
    const AlignedBuffer<float> wide = widened(name, {out, in, 3, 3});
    auto offsets = weights.get_vector(name + ".bias", {out});
    if (weights.only_shapes()) out = 0;
    const DataType type = nn::winograd_type(compute, in);
    return nn::make_winograd(context, wide.data(), out, in, std::move(offsets), nn::winograd_tile(type, side), type);
  }

  nn::AttentionPool attention_pool(const std::string& name, index_t tokens, index_t channels, index_t heads,
                                   index_t embed_dim, DataType compute) {
    if (channels / heads % 2 != 0) compute = DataType::f32;  // a pair of bf16 may not straddle two heads
    const AlignedBuffer<float> key = widened(name + ".k", {channels, channels});
    const AlignedBuffer<float> value = widened(name + ".v", {channels, channels});
    (void)weights.get_vector(name + ".k.bias", {channels});  // softmax does not see it: nn/attention_pool.hpp
    nn::AttentionPool pool =
        nn::make_attention_pool(context, weights.get_vector(name + ".position_embd.weight", {tokens, channels}), heads,
                                key.data(), value.data(), weights.get_vector(name + ".v.bias", {channels}), compute);
    pool.query = linear(name + ".q", channels, channels, compute);
    pool.out = linear("visual_projection", embed_dim, channels, compute);
    return pool;
  }

  /// Block `index` of tower "t" or "v".  clip.cpp's names: ffn_down is the first layer of the MLP, ffn_up the second.
  nn::TransformerBlock transformer_block(const std::string& tower, index_t index, const TransformerConfig& config,
                                         bool causal) {
    const std::string prefix = tower + ".blk." + std::to_string(index) + ".";
    nn::TransformerBlock block;
    block.ln_1 = layer_norm(prefix + "ln1", config.width, config.layer_norm_epsilon);
    block.attention.query = linear(prefix + "attn_q", config.width, config.width, type);
    block.attention.key_value = stacked(prefix + "attn_k", prefix + "attn_v", config.width, config.width);
    block.attention.out = linear(prefix + "attn_out", config.width, config.width, type);
    block.attention.heads = config.heads;
    block.attention.causal = causal;
    block.ln_2 = layer_norm(prefix + "ln2", config.width, config.layer_norm_epsilon);
    block.c_fc = linear(prefix + "ffn_down", config.feed_forward, config.width, type);
    block.c_proj = linear(prefix + "ffn_up", config.width, config.feed_forward, type);
    block.activation = config.activation;
    return block;
  }

  std::vector<nn::TransformerBlock> transformer(const std::string& tower, const TransformerConfig& config,
                                                bool causal) {
    std::vector<nn::TransformerBlock> blocks;
    for (index_t i = 0; i < config.layers; ++i) blocks.push_back(transformer_block(tower, i, config, causal));
    return blocks;
  }
};

}  // namespace clipon::inline CLIPON_ABI::models

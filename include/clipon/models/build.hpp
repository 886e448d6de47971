// From tensors of a file to layers: reads, checks the shape, packs.  Layer 4; called by the towers' constructors.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clipon/format/weights.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/packing.hpp"
#include "clipon/nn/attention_pool.hpp"
#include "clipon/nn/conv2d.hpp"
#include "clipon/nn/conv3x3.hpp"
#include "clipon/nn/transformer.hpp"

namespace clipon::inline CLIPON_ABI::models {

using kernels::Rows;

/// Everything that building a tower needs.  With weights of only shapes the layers come out empty: what is wrong with a
/// file's tensors is known before any memory is taken for them.
struct Builder {
  format::Weights& weights;
  nn::Context context;                 // the kernels and threads that pack
  DataType type = DataType::f32;       // that the blocks compute in
  Rows picture_rows = Rows::in_pairs;  // of a Vision Transformer's blocks; single: what pairs are compared with
  Packing packing = {};                // of matrices, which have no numbers before finish()

  /// After the last tower.  Throws Error checksum_mismatch or not_finite; in a strict file bad_value, where it holds
  /// tensors that the architecture has no use for.
  void finish() {
    packing.run(context, weights);
    weights.finish();
  }

  /// NAME.weight [outputs, inputs] and, where asked for, NAME.bias [outputs].
  nn::Linear linear(const std::string& name, index_t outputs, index_t inputs, DataType compute, bool bias = true,
                    Rows rows = Rows::single) {
    return {packing.add(context, {weights.get_unchecked(name + ".weight", {outputs, inputs})}, compute, rows),
            bias ? weights.get_vector(name + ".bias", {outputs}) : std::vector<float>{}};
  }

  nn::LayerNorm layer_norm(const std::string& name, index_t width, float epsilon) {
    return {weights.get_vector(name + ".weight", {width}), weights.get_vector(name + ".bias", {width}), epsilon};
  }

  /// NAMEq, NAMEk and NAMEv, [width, width] each, one above the other: one product.
  nn::Linear query_key_value(const std::string& name, index_t width, Rows a) {
    std::vector<format::UncheckedTensor> parts;
    parts.reserve(3);
    std::vector<float> bias;
    for (const char part : {'q', 'k', 'v'}) {
      parts.push_back(weights.get_unchecked(name + part + ".weight", {width, width}));
      const auto offsets = weights.get_vector(name + part + ".bias", {width});
      bias.insert(bias.end(), offsets.begin(), offsets.end());
    }
    return {packing.add(context, parts, type, a), std::move(bias)};
  }

  /// NAME.weight as floats, [rows, columns].
  AlignedBuffer<float> widened(const std::string& name, const format::TensorShape& shape) {
    const kernels::StoredMatrix w = stored(weights.get(name + ".weight", shape));
    AlignedBuffer<float> wide(static_cast<std::size_t>(w.rows * w.columns), Pages::huge);
    parallel::parallel_for(context.threads, w.rows,
                           [&](index_t r) { context.kernels->widen(w, r, 0, w.columns, wide.data() + r * w.columns); });
    return wide;
  }

  /// A convolution's weight [out, in, k, k] with its inputs in the order (ky, kx, channel) of NHWC maps and RGB pixels.
  nn::Linear channels_last(const std::string& name, index_t out, index_t in, index_t kernel, DataType compute,
                           bool bias) {
    if (kernel == 1) {  // they are in that order
      return {packing.add(context, {weights.get_unchecked(name + ".weight", {out, in, 1, 1})}, compute, Rows::single),
              bias ? weights.get_vector(name + ".bias", {out}) : std::vector<float>{}};
    }
    const AlignedBuffer<float> wide = widened(name, {out, in, kernel, kernel});
    auto offsets = bias ? weights.get_vector(name + ".bias", {out}) : std::vector<float>{};
    if (weights.only_shapes()) out = 0;
    const AlignedBuffer<float> lines = nn::channels_last(context.threads, wide.data(), out, in, kernel, kernel * in);
    const kernels::StoredMatrix matrix{lines.data(), nullptr, DataType::f32, out, kernel * kernel * in};
    return {kernels::PackedMatrix(context, matrix, compute), std::move(offsets)};
  }

  nn::Conv2d conv2d(const std::string& name, index_t out, index_t in, index_t kernel, DataType compute) {
    return {channels_last(name, out, in, kernel, compute, true), in, kernel};
  }

  /// A 3 x 3 convolution of stride 1 on maps of `side` pixels in a tower of `compute`.
  nn::Conv3x3 conv3x3(const std::string& name, index_t out, index_t in, index_t side, DataType compute, bool deep) {
    const AlignedBuffer<float> wide = widened(name, {out, in, 3, 3});
    auto offsets = weights.get_vector(name + ".bias", {out});
    if (weights.only_shapes()) out = 0;
    return nn::make_conv3x3(context, wide.data(), out, in, std::move(offsets), compute, side, deep);
  }

  /// NAMEq, NAMEk and NAMEv, each [width, width]; what comes out of the heads goes through another layer.
  nn::SingleQueryAttention single_query_attention(const std::string& name, index_t width, index_t heads,
                                                  DataType compute) {
    nn::SingleQueryAttention attention;
    attention.query = linear(name + "q", width, width, compute);
    const AlignedBuffer<float> key = widened(name + "k", {width, width});
    const AlignedBuffer<float> value = widened(name + "v", {width, width});
    (void)weights.get_vector(name + "k.bias", {width});  // softmax does not see it: nn/single_query_attention.hpp
    nn::pack_heads(context, attention, heads, key.data(), value.data(), weights.get_vector(name + "v.bias", {width}),
                   compute);
    return attention;
  }

  nn::AttentionPool attention_pool(const std::string& name, index_t tokens, index_t channels, index_t heads,
                                   index_t embed_dim, DataType compute) {
    compute = nn::single_query_type(compute, channels / heads);
    nn::AttentionPool pool;
    pool.positional_embedding = weights.get_vector(name + ".position_embd.weight", {tokens, channels});
    pool.attention = single_query_attention(name + ".", channels, heads, compute);
    pool.attention.out = linear("visual_projection", embed_dim, channels, compute);
    return pool;
  }

  nn::AttentionWeights attention(const std::string& name, const TransformerConfig& config, bool causal, Rows rows) {
    nn::AttentionWeights attention;
    attention.query_key_value = query_key_value(name, config.width, rows);
    attention.heads = config.heads;
    attention.causal = causal;
    return attention;
  }

  /// A block around its attention.  clip.cpp's names: ffn_down is the first layer of the MLP, ffn_up the second.
  template <class Attention>
  nn::ResidualAttentionBlock<Attention> block(const std::string& prefix, const TransformerConfig& config,
                                              Attention attention, Rows rows) {
    attention.out = linear(prefix + "attn_out", config.width, config.width, type, true, rows);
    return {layer_norm(prefix + "ln1", config.width, config.layer_norm_epsilon),
            std::move(attention),
            layer_norm(prefix + "ln2", config.width, config.layer_norm_epsilon),
            linear(prefix + "ffn_down", config.feed_forward, config.width, type, true, rows),
            linear(prefix + "ffn_up", config.width, config.feed_forward, type, true, rows),
            config.activation};
  }

  /// The blocks of tower "t" or "v".  rows: of all blocks but the last, whose are one a sequence.
  nn::Transformer transformer(const std::string& tower, const TransformerConfig& config, bool causal, Rows rows) {
    nn::Transformer transformer;
    const index_t last = config.layers - 1;
    const auto prefix = [&](index_t index) { return tower + ".blk." + std::to_string(index) + "."; };
    for (index_t i = 0; i < last; ++i) {
      transformer.blocks.push_back(
          block(prefix(i), config, attention(prefix(i) + "attn_", config, causal, rows), rows));
    }
    transformer.last_block =
        block(prefix(last), config, single_query_attention(prefix(last) + "attn_", config.width, config.heads, type),
              Rows::single);
    return transformer;
  }
};

}  // namespace clipon::inline CLIPON_ABI::models

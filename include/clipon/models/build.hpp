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
  Packing packing = {};                // of large tensors: their matrices are uninitialised until finish()

  /// After the last tower.  Throws Error checksum_mismatch or not_finite; in a strict file bad_value, where it holds
  /// tensors that the architecture has no use for.
  void finish() {
    packing.run(context.threads, weights);
    weights.finish();
  }

  /// NAME.weight [outputs, inputs] and, where asked for, NAME.bias [outputs].
  nn::Linear linear(const std::string& name, index_t outputs, index_t inputs, DataType compute, bool bias = true,
                    Rows rows = Rows::single) {
    return {packing.add_matrix(context, {weights.get_unchecked(name + ".weight", {outputs, inputs})}, inputs, compute,
                               rows),
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
    return {packing.add_matrix(context, std::move(parts), width, type, a), std::move(bias)};
  }

  /// NAME.weight as floats, [rows, columns].
  AlignedBuffer<float> widened(const std::string& name, const format::TensorShape& shape) {
    const kernels::StoredMatrix w = weights.get(name + ".weight", shape);
    AlignedBuffer<float> wide(static_cast<std::size_t>(w.rows * w.columns), Pages::huge);
    parallel::parallel_for(context.threads, w.rows,
                           [&](index_t r) { context.kernels->widen(w, r, 0, w.columns, wide.data() + r * w.columns); });
    return wide;
  }

  /// A convolution's weight [out, in, k, k] with its inputs in the order (ky, kx, channel) of NHWC maps and RGB pixels.
  nn::Linear channels_last(const std::string& name, index_t out, index_t in, index_t kernel, DataType compute,
                           bool bias) {
    const format::UncheckedTensor tensor = weights.get_unchecked(name + ".weight", {out, in, kernel, kernel});
    auto offsets = bias ? weights.get_vector(name + ".bias", {out}) : std::vector<float>{};
    if (kernel == 1) {  // they are in that order
      return {packing.add_matrix(context, {tensor}, in, compute, Rows::single), std::move(offsets)};
    }
    const index_t columns = kernel * kernel * in;
    kernels::PackedMatrix matrix(context, tensor.view.rows, columns, compute, Rows::single);
    packing.add({tensor}, matrix.first_row(1), [=, &table = *context.kernels](index_t group) mutable {
      const index_t first = matrix.first_row(group);
      const index_t rows = matrix.first_row(group + 1) - first;
      AlignedBuffer<float> row(static_cast<std::size_t>(columns));
      AlignedBuffer<float> lines(static_cast<std::size_t>(rows * columns));
      for (index_t r = 0; r < rows; ++r) {
        table.widen(tensor.view, first + r, 0, columns, row.data());
        nn::channels_last(row.data(), in, kernel, kernel * in, lines.data() + r * columns);
      }
      const kernels::StoredMatrix turned{lines.data(), nullptr, DataType::f32, rows, columns};
      matrix.pack(table, {&turned, 1}, group, first);
    });
    return {matrix, std::move(offsets)};
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
    const format::UncheckedTensor key = weights.get_unchecked(name + "k.weight", {width, width});
    const format::UncheckedTensor value = weights.get_unchecked(name + "v.weight", {width, width});
    (void)weights.get_vector(name + "k.bias", {width});  // softmax does not see it: nn/single_query_attention.hpp
    nn::take_heads(context, attention, heads, weights.get_vector(name + "v.bias", {width}), compute);
    packing.add({key}, width / heads, [key, &table = *context.kernels, packed = attention.head_key](index_t h) mutable {
      nn::pack_head_key(table, key.view, h, packed[static_cast<std::size_t>(h)]);
    });
    packing.add({value}, width / heads,
                [value, &table = *context.kernels, packed = attention.head_value](index_t h) mutable {
                  nn::pack_head_value(table, value.view, h, packed[static_cast<std::size_t>(h)].weight);
                });
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

// One residual attention block of both Transformers.  Layer 3.  openai/CLIP clip/model.py, ResidualAttentionBlock:
//   x = x + attention(ln_1(x));  x = x + mlp(ln_2(x)),  mlp = c_proj(activation(c_fc(x)))
#pragma once

#include <algorithm>
#include <span>

#include "clipon/nn/attention.hpp"
#include "clipon/nn/layer_norm.hpp"
#include "clipon/nn/linear.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct TransformerBlock {
  LayerNorm ln_1;
  AttentionWeights attention;
  LayerNorm ln_2;
  Linear c_fc;    // [feed_forward, width]
  Linear c_proj;  // [width, feed_forward]
  Activation activation = Activation::quick_gelu;
};

/// The buffers of all blocks of a Transformer, for `rows` rows in sequences of at most `longest`.
struct BlockScratch {
  float* normalised = nullptr;  // [rows, width]
  float* query = nullptr;       // [rows, width]
  float* key_value = nullptr;   // [rows, 2 width]
  float* attended = nullptr;    // [rows, width]
  float* hidden = nullptr;      // [rows, feed_forward]
  float* attention = nullptr;   // [threads, attention_a_thread]
  index_t attention_a_thread = 0;

  static index_t bytes(const Context& context, const TransformerBlock& block, index_t rows, index_t longest) {
    const index_t width = block.attention.width();
    return 3 * Scratch::size_for<float>(rows * width) + Scratch::size_for<float>(rows * 2 * width) +
           Scratch::size_for<float>(rows * block.c_fc.outputs()) +
           Scratch::size_for<float>(attention_scratch_floats(context, block.attention, longest));
  }

  BlockScratch(const Context& context, const TransformerBlock& block, index_t rows, index_t longest, Scratch& scratch)
      : normalised(scratch.take<float>(rows * block.attention.width())),
        query(scratch.take<float>(rows * block.attention.width())),
        key_value(scratch.take<float>(rows * 2 * block.attention.width())),
        attended(scratch.take<float>(rows * block.attention.width())),
        hidden(scratch.take<float>(rows * block.c_fc.outputs())),
        attention(scratch.take<float>(attention_scratch_floats(context, block.attention, longest))),
        attention_a_thread(attention_scratch_floats(context, block.attention, longest) / context.threads.count) {}
};

// The half of a block after attention, for `rows` rows: x += out(attended); x += mlp(ln_2(x)).
inline void add_attention_and_mlp(const Context& context, const TransformerBlock& block, float* x, index_t rows,
                                  const BlockScratch& s) {
  const index_t width = block.attention.width();
  const index_t feed_forward = block.c_fc.outputs();
  forward(context, block.attention.out, s.attended, width, rows, {x, width, Activation::none, x, width});
  forward(context, block.ln_2, x, rows, s.normalised);
  forward(context, block.c_fc, s.normalised, width, rows, {s.hidden, feed_forward, block.activation, nullptr, 0});
  forward(context, block.c_proj, s.hidden, feed_forward, rows, {x, width, Activation::none, x, width});
}

/// x [rows, width], in place.
inline void forward(const Context& context, const TransformerBlock& block, float* x, index_t rows,
                    std::span<const Sequence> sequences, const BlockScratch& s) {
  const index_t width = block.attention.width();
  forward(context, block.ln_1, x, rows, s.normalised);
  forward(context, block.attention.query, s.normalised, width, rows, {s.query, width, Activation::none, nullptr, 0});
  forward(context, block.attention.key_value, s.normalised, width, rows,
          {s.key_value, 2 * width, Activation::none, nullptr, 0});
  attend(context, block.attention, {s.query, width, false}, s.key_value, sequences, s.attended, s.attention,
         s.attention_a_thread);
  add_attention_and_mlp(context, block, x, rows, s);
}

/// The last block, for the one token of each sequence that is pooled: its query, projection and MLP are all that the
/// embedding needs; keys and values need every token.  x [rows, width] is input only; pooled_rows[s] is the row of
/// sequence s (its last where the block is causal, so that it sees all keys); pooled [sequences, width] is the output.
inline void forward_pooled(const Context& context, const TransformerBlock& block, const float* x, index_t rows,
                           std::span<const Sequence> sequences, std::span<const index_t> pooled_rows, float* pooled,
                           const BlockScratch& s) {
  const index_t width = block.attention.width();
  const auto count = static_cast<index_t>(sequences.size());
  forward(context, block.ln_1, x, rows, s.normalised);
  forward(context, block.attention.key_value, s.normalised, width, rows,
          {s.key_value, 2 * width, Activation::none, nullptr, 0});
  for (index_t i = 0; i < count; ++i) {
    const index_t row = pooled_rows[static_cast<std::size_t>(i)];
    std::copy_n(x + row * width, width, pooled + i * width);
    std::copy_n(s.normalised + row * width, width, s.hidden + i * width);  // hidden is free until the MLP
  }
  forward(context, block.attention.query, s.hidden, width, count, {s.query, width, Activation::none, nullptr, 0});
  attend(context, block.attention, {s.query, width, true}, s.key_value, sequences, s.attended, s.attention,
         s.attention_a_thread);
  add_attention_and_mlp(context, block, pooled, count, s);
}

}  // namespace clipon::inline CLIPON_ABI::nn

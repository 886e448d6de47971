// One residual attention block of both Transformers.  Layer 3.  openai/CLIP clip/model.py, ResidualAttentionBlock:
//   x = x + attention(ln_1(x));  x = x + mlp(ln_2(x)),  mlp = c_proj(activation(c_fc(x)))
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "clipon/nn/attention.hpp"
#include "clipon/nn/layer_norm.hpp"
#include "clipon/nn/operand.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct TransformerBlock {
  LayerNorm ln_1;
  AttentionWeights attention;
  LayerNorm ln_2;
  Linear c_fc;    // [feed_forward, width]
  Linear c_proj;  // [width, feed_forward]
  Activation activation = Activation::quick_gelu;

  [[nodiscard]] DataType type() const { return c_fc.type(); }  // of all its products
};

/// The buffers of all blocks of a Transformer, for `rows` rows in sequences of at most `longest`.
struct BlockScratch {
  OperandRows normalised;      // [rows, width]
  OperandRows query;           // [rows, width]
  OperandRows key_value;       // [rows, 2 width]
  OperandRows attended;        // [rows, width]
  OperandRows hidden;          // [rows, widest]: feed_forward of them, or a pooled row's width
  OperandRows quantised;       // int8: [rows, widest], of attended or hidden
  float* attention = nullptr;  // [threads, attention_a_thread]
  index_t attention_a_thread = 0;

  static index_t bytes(const Context& context, const TransformerBlock& block, index_t rows, index_t longest) {
    const index_t width = block.attention.width();
    const DataType type = block.type();
    return operand_bytes(type, rows, width) + operand_bytes(between(type), rows, query_width(block)) +
           operand_bytes(between(type), rows, 2 * width) + operand_bytes(between(type), rows, width) +
           operand_bytes(between(type), rows, widest(block)) +
           operand_bytes(type, quantised_rows(type, rows), widest(block)) +
           Scratch::size_for<float>(attention_scratch_floats(context, block.attention, longest));
  }

  BlockScratch(const Context& context, const TransformerBlock& block, index_t rows, index_t longest, Scratch& scratch)
      : normalised(take_operand(scratch, block.type(), rows, block.attention.width())),
        query(take_operand(scratch, between(block.type()), rows, query_width(block))),
        key_value(take_operand(scratch, between(block.type()), rows, 2 * block.attention.width())),
        attended(take_operand(scratch, between(block.type()), rows, block.attention.width())),
        hidden(take_operand(scratch, between(block.type()), rows, widest(block))),
        quantised(take_operand(scratch, block.type(), quantised_rows(block.type(), rows), widest(block))),
        attention(scratch.take<float>(attention_scratch_floats(context, block.attention, longest))),
        attention_a_thread(attention_scratch_floats(context, block.attention, longest) / context.threads.count) {}

 private:
  // A file may say that the MLP is narrower than the block; hidden takes rows of either.
  static index_t widest(const TransformerBlock& block) {
    return std::max(row_stride(between(block.type()), block.attention.width()), block.c_fc.outputs());
  }
  // Of several heads that are no whole number of steps wide, the last one's last step ends beyond the width.
  static index_t query_width(const TransformerBlock& block) {
    const index_t part = block.attention.head_width();
    return block.attention.width() + kernels::padded_depth(between(block.type()), part) - part;
  }
  static index_t quantised_rows(DataType type, index_t rows) { return type == DataType::i8 ? rows : 0; }
};

// The half of a block after attention, for `rows` rows: x += out(attended); x += mlp(ln_2(x)).
inline void add_attention_and_mlp(const Context& context, const TransformerBlock& block, float* x, index_t rows,
                                  const BlockScratch& s, const Linear* next = nullptr) {
  const index_t width = block.attention.width();
  const index_t feed_forward = block.c_fc.outputs();
  const DataType type = block.type();
  clear_padding(s.attended, rows, width, width);
  const Operand attended = as_operand(context, s.attended.read(), rows, width, type, s.quantised);
  forward(context, block.attention.out, attended, rows, {x, width, Activation::none, x, width}, &block.c_fc);
  forward(context, block.ln_2, x, rows, s.normalised);
  forward(context, block.c_fc, s.normalised.read(), rows, to_rows(s.hidden, block.activation), &block.c_proj);
  clear_padding(s.hidden, rows, feed_forward, feed_forward);
  const Operand hidden = as_operand(context, s.hidden.read(), rows, feed_forward, type, s.quantised);
  forward(context, block.c_proj, hidden, rows, {x, width, Activation::none, x, width}, next);
}

/// x [rows, width], in place.  next: the block after this one.
inline void forward(const Context& context, const TransformerBlock& block, const TransformerBlock& next, float* x,
                    index_t rows, std::span<const Sequence> sequences, const BlockScratch& s) {
  forward(context, block.ln_1, x, rows, s.normalised);
  forward(context, block.attention.query, s.normalised.read(), rows, to_rows(s.query), &block.attention.key_value);
  forward(context, block.attention.key_value, s.normalised.read(), rows, to_rows(s.key_value), &block.attention.out);
  clear_padding(s.query, rows, block.attention.width(), block.attention.head_width());
  attend(context, block.attention, {s.query.read(), false}, s.key_value.read(), sequences, s.attended, s.attention,
         s.attention_a_thread);
  add_attention_and_mlp(context, block, x, rows, s, &next.attention.query);
}

// Some rows of `from`, one after the other: out [picked.size(), stride].
inline void pick_rows(const OperandRows& from, std::span<const index_t> picked, const OperandRows& out) {
  for (std::size_t i = 0; i < picked.size(); ++i) {
    const Operand row = from.from_row(picked[i]).read();
    const OperandRows target = out.from_row(static_cast<index_t>(i));
    std::memcpy(target.data, row.data, static_cast<std::size_t>(from.stride) * size_of(from.type));
    if (from.type == DataType::i8) *target.scales = *row.scales;  // other types have room for none
  }
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
  forward(context, block.attention.key_value, s.normalised.read(), rows, to_rows(s.key_value));
  for (index_t i = 0; i < count; ++i) {
    std::copy_n(x + pooled_rows[static_cast<std::size_t>(i)] * width, width, pooled + i * width);
  }
  // hidden and quantised are free until the MLP, and hidden's rows and elements are no smaller
  const OperandRows picked{s.hidden.data, s.normalised.stride, s.normalised.type, s.quantised.scales};
  pick_rows(s.normalised, pooled_rows, picked);
  forward(context, block.attention.query, picked.read(), count, to_rows(s.query));
  clear_padding(s.query, count, width, block.attention.head_width());
  attend(context, block.attention, {s.query.read(), true}, s.key_value.read(), sequences, s.attended, s.attention,
         s.attention_a_thread);
  add_attention_and_mlp(context, block, pooled, count, s);
}

}  // namespace clipon::inline CLIPON_ABI::nn

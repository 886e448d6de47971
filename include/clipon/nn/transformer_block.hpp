// One residual attention block of both Transformers.  Layer 3.  openai/CLIP clip/model.py, ResidualAttentionBlock:
//   x = x + attention(ln_1(x));  x = x + mlp(ln_2(x)),  mlp = c_proj(activation(c_fc(x)))
#pragma once

#include <algorithm>
#include <span>

#include "clipon/nn/attention.hpp"
#include "clipon/nn/layer_norm.hpp"
#include "clipon/nn/operand.hpp"
#include "clipon/nn/single_query_attention.hpp"

namespace clipon::inline CLIPON_ABI::nn {

template <class Attention>
struct ResidualAttentionBlock {
  LayerNorm ln_1;
  Attention attention;
  LayerNorm ln_2;
  Linear c_fc;    // [feed_forward, width]
  Linear c_proj;  // [width, feed_forward]
  Activation activation = Activation::quick_gelu;

  [[nodiscard]] DataType type() const { return c_fc.type(); }  // of its rows' products
  /// Of what its products read: a file may say that the MLP is narrower than the block.
  [[nodiscard]] index_t widest() const { return std::max(attention.width(), c_fc.outputs()); }
};

using TransformerBlock = ResidualAttentionBlock<AttentionWeights>;
/// The last block, for the one token of each sequence that is pooled: that token's query, projection and MLP are all
/// that the embedding needs, and one query needs no keys or values (single_query_attention.hpp).
using PooledBlock = ResidualAttentionBlock<SingleQueryAttention>;

/// The buffers of all blocks of a Transformer, for `rows` rows in sequences of at most `longest`.
struct BlockScratch {
  OperandRows normalised;       // [rows, width]
  OperandRows query_key_value;  // [rows, 3 width]; of the last block, its positions
  OperandRows attended;         // [rows, width]
  OperandRows hidden;           // [rows, feed_forward]
  OperandRows quantised;        // int8: [rows, widest], of attended or hidden
  AttentionScratch attention;

  static index_t bytes(const Context& context, const PooledBlock& block, index_t rows, index_t longest) {
    const index_t width = block.attention.width();
    const DataType type = block.type();
    const DataType written = rows_between(context, type);
    return operand_bytes(type, rows, width) + operand_bytes(written, rows, 3 * width) +
           operand_bytes(written, rows, width) + operand_bytes(written, rows, block.c_fc.outputs()) +
           operand_bytes(type, quantised_rows(type, rows), block.widest()) +
           AttentionScratch::bytes(context, block.attention.head_width(), longest);
  }

  /// block: any of them, they are alike.
  BlockScratch(const Context& context, const PooledBlock& block, index_t rows, index_t longest, Scratch& scratch)
      : normalised(take_operand(scratch, block.type(), rows, block.attention.width())),
        query_key_value(take_operand(scratch, rows_between(context, block.type()), rows, 3 * block.attention.width())),
        attended(take_operand(scratch, rows_between(context, block.type()), rows, block.attention.width())),
        hidden(take_operand(scratch, rows_between(context, block.type()), rows, block.c_fc.outputs())),
        quantised(take_operand(scratch, block.type(), quantised_rows(block.type(), rows), block.widest())),
        attention(context, block.attention.head_width(), longest, scratch) {}

  /// Zeros in an f32 row that no sequence has, so that products of pairs find numbers there.
  void clear_attended(index_t row) const {
    std::fill_n(static_cast<float*>(attended.from_row(row).data), attended.stride, 0.0f);
  }

  /// The same from row `first` on, but for what attention works in.
  [[nodiscard]] BlockScratch from_row(index_t first) const {
    BlockScratch part = *this;
    for (OperandRows* rows : {&part.normalised, &part.query_key_value, &part.attended, &part.hidden}) {
      *rows = rows->from_row(first);
    }
    if (is_integer(quantised.type)) part.quantised = quantised.from_row(first);  // else it has no rows
    return part;
  }

 private:
  static index_t quantised_rows(DataType type, index_t rows) { return is_integer(type) ? rows : 0; }
};

// The half of a block after attention, for `rows` rows: x += out(attended); x += mlp(ln_2(x)).  next: the product after
// this block.
template <class Attention>
inline void add_attention_and_mlp(const Context& context, const ResidualAttentionBlock<Attention>& block, float* x,
                                  index_t rows, const BlockScratch& s, const Linear* next = nullptr) {
  const index_t width = block.attention.width();
  const index_t feed_forward = block.c_fc.outputs();
  const DataType type = block.type();
  clear_padding(s.attended, rows, width);
  const Operand attended = as_operand(context, s.attended.read(), rows, width, type, s.quantised);
  forward(context, block.attention.out, attended, rows, {x, width, Activation::none, x, width}, &block.c_fc);
  forward(context, block.ln_2, x, rows, s.normalised);
  forward(context, block.c_fc, s.normalised.read(), rows, to_rows(s.hidden, block.activation), &block.c_proj);
  clear_padding(s.hidden, rows, feed_forward);
  const Operand hidden = as_operand(context, s.hidden.read(), rows, feed_forward, type, s.quantised);
  forward(context, block.c_proj, hidden, rows, {x, width, Activation::none, x, width}, next);
}

// The half before it: queries, keys and values of `rows` rows.
inline void project(const Context& context, const TransformerBlock& block, const float* x, index_t rows,
                    const BlockScratch& s) {
  forward(context, block.ln_1, x, rows, s.normalised);
  forward(context, block.attention.query_key_value, s.normalised.read(), rows, to_rows(s.query_key_value),
          &block.attention.out);
  clear_padding(s.query_key_value, rows, 3 * block.attention.width());  // a narrow head's last step reads it
}

/// x [rows, width] is input only; pooled_rows[s] is the row of sequence s that is pooled (its last where the blocks are
/// causal, so that it sees all of them); pooled [sequences, width] is the output.
inline void forward(const Context& context, const PooledBlock& block, const float* x, index_t rows,
                    std::span<const Sequence> sequences, std::span<const index_t> pooled_rows, float* pooled,
                    const BlockScratch& s, const SingleQueryScratch& heads) {
  const index_t width = block.attention.width();
  const auto count = static_cast<index_t>(sequences.size());
  for (index_t i = 0; i < count; ++i) {
    std::copy_n(x + pooled_rows[static_cast<std::size_t>(i)] * width, width, pooled + i * width);
  }
  // query_key_value's rows are three times as wide, which takes floats in the place of bf16, too
  const DataType type = block.attention.type();
  const OperandRows positions{s.query_key_value.data, row_stride(type, width), type, nullptr};
  forward(context, block.ln_1, x, rows, positions);
  forward(context, block.ln_1, pooled, count, s.normalised);
  attend(context, block.attention, s.normalised.read(), positions.read(), sequences, s.attended, heads);
  add_attention_and_mlp(context, block, pooled, count, s);
}

}  // namespace clipon::inline CLIPON_ABI::nn

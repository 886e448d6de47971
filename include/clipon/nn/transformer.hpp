// The blocks of both Transformers, down to the one token of each sequence that is pooled.  Layer 3; called by the
// towers.  openai/CLIP clip/model.py, Transformer.
#pragma once

#include <vector>

#include "clipon/nn/row_shares.hpp"
#include "clipon/nn/transformer_block.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Transformer {
  std::vector<TransformerBlock> blocks;  // all but the last
  PooledBlock last_block;

  [[nodiscard]] DataType type() const { return last_block.type(); }
  /// Whether rows must come in pairs: for some product of its blocks, which are alike.
  [[nodiscard]] bool in_pairs() const {
    if (blocks.empty()) return false;
    const TransformerBlock& block = blocks.front();
    return block.attention.query_key_value.weight.in_pairs() || block.attention.out.weight.in_pairs() ||
           block.c_fc.weight.in_pairs() || block.c_proj.weight.in_pairs();
  }
};

/// The buffers of one call, for `rows` rows in sequences of at most `longest`.
struct TransformerScratch {
  BlockScratch block;
  SingleQueryScratch heads;
  float* pair_memory = nullptr;  // where rows are in pairs

  static index_t bytes(const Context& context, const Transformer& transformer, index_t rows, index_t sequences,
                       index_t longest) {
    return BlockScratch::bytes(context, transformer.last_block, rows, longest) +
           SingleQueryScratch::bytes(context, transformer.last_block.attention, sequences, longest) +
           Scratch::size_for<float>(pair_floats(context, transformer, rows));
  }

  TransformerScratch(const Context& context, const Transformer& transformer, index_t rows, index_t sequences,
                     index_t longest, Scratch& scratch)
      : block(context, transformer.last_block, rows, longest, scratch),
        heads(context, transformer.last_block.attention, sequences, longest, scratch),
        pair_memory(scratch.take<float>(pair_floats(context, transformer, rows))) {}

 private:
  static index_t pair_floats(const Context& context, const Transformer& transformer, index_t rows) {
    const PooledBlock& block = transformer.last_block;
    return transformer.in_pairs() ? kernels::PairMemory::floats(context, block.c_fc.weight, rows, block.widest()) : 0;
  }
};

/// x [rows, width] is overwritten; where rows must come in pairs, so do those of each sequence.  pooled_rows[s] is the
/// row of sequence s that is pooled; pooled [sequences, width].
inline void forward(Context context, const Transformer& transformer, float* x, index_t rows,
                    std::span<const Sequence> sequences, std::span<const index_t> pooled_rows, float* pooled,
                    const TransformerScratch& s) {
  context.pair_memory = s.pair_memory;
  const auto& blocks = transformer.blocks;
  const index_t width = transformer.last_block.attention.width();
  const bool shares = !transformer.in_pairs() && shares_rows(context, transformer.type(), rows);
  const auto for_shares = [&](const auto& body) { for_row_shares(context, rows, shares, body); };
  if (!blocks.empty()) {
    for_shares([&](const Context& own, index_t first, index_t count) {
      project(own, blocks[0], x + first * width, count, s.block.from_row(first));
    });
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const TransformerBlock* after = b + 1 < blocks.size() ? &blocks[b + 1] : nullptr;
    const Linear& next = after ? after->attention.query_key_value : transformer.last_block.attention.query;
    attend(context, blocks[b].attention, s.block.query_key_value.read(), sequences, s.block.attended,
           s.block.attention);
    for_shares([&](const Context& own, index_t first, index_t count) {
      const BlockScratch part = s.block.from_row(first);
      add_attention_and_mlp(own, blocks[b], x + first * width, count, part, &next);
      if (after) project(own, *after, x + first * width, count, part);
    });
  }
  forward(context, transformer.last_block, x, rows, sequences, pooled_rows, pooled, s.block, s.heads);
}

}  // namespace clipon::inline CLIPON_ABI::nn

// Multi-head attention with one query a sequence: the attention pool of a ModifiedResNet, and the last block of a
// Transformer, of which one token is pooled.  Layer 3; called by attention_pool.hpp and transformer_block.hpp.
//
// With one query a head, no position needs a key or a value of its own: q . (K x + b) = (K^T q) . x + q . b, where the
// last term is the same for every position, so that softmax does not see it; and the attended value is
// sum a (V x + b) = V (sum a x) + b.  So a head's query goes through K^T once, attends to the positions themselves, and
// their mixture goes through V once: 2 C^2 multiplications a sequence instead of 2 C^2 a position.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "clipon/nn/attention.hpp"
#include "clipon/nn/operand.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct SingleQueryAttention {
  Linear query;                                 // [width, width]
  std::vector<kernels::PackedMatrix> head_key;  // a head: K^T, [width, head width]
  std::vector<Linear> head_value;               // a head: V, [head width, width]
  Linear out;                                   // [output width, width]

  [[nodiscard]] index_t width() const { return query.outputs(); }
  [[nodiscard]] index_t heads() const { return static_cast<index_t>(head_key.size()); }
  [[nodiscard]] index_t head_width() const { return width() / heads(); }
  /// f32 or bf16: of the positions, and of all that stands between the query's product and the last one.
  [[nodiscard]] DataType type() const { return head_key.front().type(); }
};

/// What attention beside products of `type` computes in: a step of bf16 may not straddle two heads.
constexpr DataType single_query_type(DataType type, index_t head_width) {
  return kernels::padded_depth(DataType::bf16, head_width) == head_width ? between(type) : DataType::f32;
}

/// Room for the heads' keys and values: pack_head_key and pack_head_value each.
inline void take_heads(const Context& context, SingleQueryAttention& attention, index_t heads,
                       const std::vector<float>& value_bias, DataType type) {
  const auto width = static_cast<index_t>(value_bias.size());
  const index_t part = width / heads;
  const DataType computed = single_query_type(type, part);
  for (index_t first = 0; first < width; first += part) {
    attention.head_key.emplace_back(context, width, part, computed, kernels::Rows::single);
    attention.head_value.push_back({kernels::PackedMatrix(context, part, width, computed, kernels::Rows::single),
                                    {value_bias.begin() + first, value_bias.begin() + first + part}});
  }
}

/// key [width, width] -> its rows that are a head's, as K^T; from any thread.
inline void pack_head_key(const kernels::KernelTable& kernels, const kernels::StoredMatrix& key, index_t head,
                          kernels::PackedMatrix& packed) {
  const index_t width = packed.rows();
  const index_t part = packed.columns();
  std::vector<float> row(static_cast<std::size_t>(width));
  AlignedBuffer<float> transposed(static_cast<std::size_t>(width * part));
  for (index_t d = 0; d < part; ++d) {
    kernels.widen(key, head * part + d, 0, width, row.data());
    for (index_t c = 0; c < width; ++c)
      transposed[static_cast<std::size_t>(c * part + d)] = row[static_cast<std::size_t>(c)];
  }
  packed.pack(kernels, {transposed.data(), nullptr, DataType::f32, width, part});
}

/// value [width, width] -> its rows that are a head's; from any thread.
inline void pack_head_value(const kernels::KernelTable& kernels, const kernels::StoredMatrix& value, index_t head,
                            kernels::PackedMatrix& packed) {
  packed.pack(kernels, value.part(head * packed.rows(), packed.rows()));
}

/// The buffers of one call, for sequences of at most `longest` rows.
struct SingleQueryScratch {
  OperandRows query;     // [sequences, width]
  OperandRows per_head;  // [sequences * heads, width]: queries through K^T
  OperandRows mixed;     // [sequences * heads, width]: the positions that each attends to
  AttentionScratch attention;

  static index_t bytes(const Context& context, const SingleQueryAttention& weights, index_t sequences,
                       index_t longest) {
    return operand_bytes(weights.type(), sequences, weights.width()) +
           2 * operand_bytes(weights.type(), sequences * weights.heads(), weights.width()) +
           AttentionScratch::bytes(context, weights.width(), longest);
  }

  SingleQueryScratch(const Context& context, const SingleQueryAttention& weights, index_t sequences, index_t longest,
                     Scratch& scratch)
      : query(take_operand(scratch, weights.type(), sequences, weights.width())),
        per_head(take_operand(scratch, weights.type(), sequences * weights.heads(), weights.width())),
        mixed(take_operand(scratch, weights.type(), sequences * weights.heads(), weights.width())),
        attention(context, weights.width(), longest, scratch) {}
};

// Each head's query [width] -> softmax over its sequence's positions -> their mixture [width].
inline void attend_positions(const Context& context, const SingleQueryAttention& weights, const Operand& positions,
                             std::span<const Sequence> sequences, const SingleQueryScratch& s) {
  const index_t heads = weights.heads();
  const auto count = static_cast<index_t>(sequences.size());
  const auto span = context.timed(attention_operation(weights.width(), weights.type(), sequences, heads));
  const index_t parts = count >= context.threads.count ? 1 : std::min<index_t>(context.threads.count, heads);
  compute_heads(context, count * parts, s.attention, [&](index_t i) {  // a sequence's heads, or some of them, as one
    const Sequence& sequence = sequences[static_cast<std::size_t>(i / parts)];
    const index_t first = i % parts * heads / parts;
    const index_t row = i / parts * heads + first;
    kernels::AttentionHead head;  // the queries are the heads', keys and values the positions themselves
    head.q = s.per_head.from_row(row).read();
    head.k = positions.from_row(sequence.key_rows == nullptr ? sequence.first : 0);
    head.v = head.k;
    head.key_rows = sequence.key_rows;
    head.out = s.mixed.from_row(row);
    head.queries = (i % parts + 1) * heads / parts - first;
    head.keys = sequence.keys;
    head.head_width = weights.width();
    head.scale = 1.0f / std::sqrt(static_cast<float>(weights.head_width()));
    return head;
  });
}

/// tokens [sequences, width], of the query's type, are the rows of the queries; positions [rows, width], of the
/// attention's type, those that they attend to, the same rows among them -> attended [sequences, width], before `out`.
inline void attend(const Context& context, const SingleQueryAttention& weights, const Operand& tokens,
                   const Operand& positions, std::span<const Sequence> sequences, const OperandRows& attended,
                   const SingleQueryScratch& s) {
  const index_t heads = weights.heads();
  const auto count = static_cast<index_t>(sequences.size());
  const Context alone = context.alone();
  forward(context, weights.query, tokens, count, to_rows(s.query));
  parallel::parallel_for(context.threads, heads, [&](index_t h) {
    const OperandRows out = s.per_head.from_row(h);
    kernels::gemm(alone, s.query.from(0, h * weights.head_width()).read(), count,
                  weights.head_key[static_cast<std::size_t>(h)],
                  kernels::store_to(out.data, heads * out.stride, out.type));
  });
  attend_positions(context, weights, positions, sequences, s);
  parallel::parallel_for(context.threads, heads, [&](index_t h) {
    Operand rows = s.mixed.from_row(h).read();
    rows.stride *= heads;
    forward(alone, weights.head_value[static_cast<std::size_t>(h)], rows, count,
            to_rows(attended.from(0, h * weights.head_width())));
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

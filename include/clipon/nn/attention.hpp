// Multi-head attention over packed sequences.  Layer 3.  Vaswani et al. 2017, 3.2; torch.nn.MultiheadAttention.
// Sequences of different length lie one after the other in one matrix of rows, without padding.
#pragma once

#include <cmath>
#include <span>

#include "clipon/kernels/gemm.hpp"
#include "clipon/nn/linear.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// Rows first .. first + length of a packed matrix, and the rows that they attend to.
struct Sequence {
  index_t first = 0;
  index_t length = 0;                 // 0 where another sequence's rows are all that it has
  const index_t* key_rows = nullptr;  // [keys]; null: the sequence's own rows
  index_t keys = 0;                   // as many as length where key_rows is null
};

struct AttentionWeights {
  Linear query_key_value;  // [3 width, width]
  Linear out;              // [width, width]
  index_t heads = 1;
  bool causal = false;

  [[nodiscard]] index_t width() const { return query_key_value.inputs(); }
  [[nodiscard]] index_t head_width() const { return width() / heads; }
};

/// What attention works in: heads `head_width` wide, sequences of at most `longest` rows.
struct AttentionScratch {
  float* data = nullptr;  // [threads, a_thread]
  index_t a_thread = 0;

  static index_t bytes(const Context& context, index_t head_width, index_t longest) {
    return Scratch::size_for<float>(context.threads.count * context.kernels->attention_scratch(longest, head_width));
  }
  AttentionScratch(const Context& context, index_t head_width, index_t longest, Scratch& scratch)
      : a_thread(context.kernels->attention_scratch(longest, head_width)) {
    data = scratch.take<float>(context.threads.count * a_thread);
  }
};

// For the profile: two products of each query with each key, also with those that a causal mask hides.  queries: of a
// sequence; 0 where each of its rows is one.
inline OperatorTime attention_operation(index_t width, DataType type, std::span<const Sequence> sequences,
                                        index_t queries = 0) {
  OperatorTime operation{"attention", type, width};
  for (const Sequence& sequence : sequences) {
    const auto rows = static_cast<double>(queries > 0 ? queries : sequence.length);
    operation.rows += rows;
    operation.operations += 4.0 * rows * static_cast<double>(sequence.keys) * static_cast<double>(width);
  }
  return operation;
}

/// Computes head_of(0), ..., head_of(heads - 1) on all threads; one without queries is nothing.
template <class HeadOf>
inline void compute_heads(const Context& context, index_t heads, const AttentionScratch& scratch,
                          const HeadOf& head_of) {
  parallel::parallel_for_on_threads(context.threads, heads, [&](index_t i, index_t thread) {
    kernels::AttentionHead head = head_of(i);
    if (head.queries == 0) return;
    const DataType type = head.q.type == DataType::f32 ? DataType::f32 : context.kernels->bf16_runs_as;
    for (const DataType found : {head.q.type, head.k.type, head.v.type}) kernels::check_rows(found, type);
    head.scratch = scratch.data + thread * scratch.a_thread;
    context.kernels->attention_head(head);
  });
}

/// out [rows, width] = softmax(Q K^T / sqrt(head width)) V for each sequence and head.
/// query_key_value [rows, 3 width] and out: f32 or bf16.
inline void attend(const Context& context, const AttentionWeights& weights, const Operand& query_key_value,
                   std::span<const Sequence> sequences, const OperandRows& out, const AttentionScratch& scratch) {
  const index_t width = weights.width();
  const auto span = context.timed(attention_operation(width, out.type, sequences));
  const index_t head_width = weights.head_width();
  const auto heads = static_cast<index_t>(sequences.size()) * weights.heads;
  compute_heads(context, heads, scratch, [&](index_t i) {
    const index_t column = i % weights.heads * head_width;
    const Sequence& sequence = sequences[static_cast<std::size_t>(i / weights.heads)];
    const index_t first_key = sequence.key_rows == nullptr ? sequence.first : 0;
    kernels::AttentionHead head;
    head.queries = sequence.length;
    head.q = query_key_value.from(sequence.first, column);
    head.k = query_key_value.from(first_key, width + column);
    head.v = query_key_value.from(first_key, 2 * width + column);
    head.key_rows = sequence.key_rows;
    head.out = out.from(sequence.first, column);
    head.keys = sequence.keys;
    head.head_width = head_width;
    head.causal = weights.causal;
    head.scale = 1.0f / std::sqrt(static_cast<float>(head_width));
    return head;
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

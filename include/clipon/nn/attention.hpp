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
  Linear query;      // [width, width]
  Linear key_value;  // [2 width, width]: keys, then values
  Linear out;        // [width, width]
  index_t heads = 1;
  bool causal = false;

  [[nodiscard]] index_t width() const { return query.outputs(); }
  [[nodiscard]] index_t head_width() const { return width() / heads; }
};

/// Floats that attend() needs for sequences of at most `longest` rows.
inline index_t attention_scratch_floats(const Context& context, const AttentionWeights& weights, index_t longest) {
  return context.threads.count * context.kernels->attention_scratch(longest, weights.head_width());
}

/// The queries of one call: all rows of each sequence, or only some (the pooled token in the last block).
struct Queries {
  Operand rows;             // [rows of all sequences, width]
  bool last_block = false;  // one query a sequence: row s belongs to sequence s and sees all its keys
};

// For the profile: two products of each query with each key, also with those that a causal mask hides.
inline OperatorTime attention_operation(const AttentionWeights& weights, const Queries& queries,
                                        std::span<const Sequence> sequences, DataType type) {
  OperatorTime operation{"attention", type, weights.width()};
  for (const Sequence& sequence : sequences) {
    const auto keys = static_cast<double>(sequence.keys);
    const double rows = queries.last_block ? 1.0 : static_cast<double>(sequence.length);
    operation.rows += rows;
    operation.operations += 4.0 * rows * keys * static_cast<double>(weights.width());
  }
  return operation;
}

/// out[rows of queries, width] = softmax(Q K^T / sqrt(head width)) V for each sequence and head.
/// key_value [rows, 2 width]: f32 or bf16, as the queries are; out: f32 or bf16; scratch: attention_scratch_floats().
inline void attend(const Context& context, const AttentionWeights& weights, const Queries& queries,
                   const Operand& key_value, std::span<const Sequence> sequences, const OperandRows& out,
                   float* scratch, index_t scratch_floats_a_thread) {
  const auto span = context.timed(attention_operation(weights, queries, sequences, out.type));
  const index_t width = weights.width();
  const index_t head_width = weights.head_width();
  const auto tasks = static_cast<index_t>(sequences.size()) * weights.heads;
  const index_t teams = context.threads.count < tasks ? context.threads.count : tasks;
  parallel::parallel_for(context.threads, teams, [&](index_t team) {
    for (index_t task = team; task < tasks; task += teams) {
      const index_t s = task / weights.heads;
      const index_t column = task % weights.heads * head_width;
      const Sequence& sequence = sequences[static_cast<std::size_t>(s)];
      const index_t first_query = queries.last_block ? s : sequence.first;
      const index_t first_key = sequence.key_rows == nullptr ? sequence.first : 0;
      kernels::AttentionHead head;
      head.queries = queries.last_block ? 1 : sequence.length;
      if (head.queries == 0) continue;
      head.q = queries.rows.from(first_query, column);
      head.k = key_value.from(first_key, column);
      head.v = key_value.from(first_key, width + column);
      head.key_rows = sequence.key_rows;
      head.out = out.from(first_query, column);
      head.keys = sequence.keys;
      head.head_width = head_width;
      head.causal = weights.causal && !queries.last_block;
      head.scale = 1.0f / std::sqrt(static_cast<float>(head_width));
      head.scratch = scratch + team * scratch_floats_a_thread;
      context.kernels->attention_head(head);
    }
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

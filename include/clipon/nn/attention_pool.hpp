// Attention pooling of feature maps: one query, the mean of all positions, attends to them all.  Layer 3.
// openai/CLIP clip/model.py, AttentionPool2d.
//
// With one query a head, no position needs a key or a value of its own: q . (K x + b) = (K^T q) . x + q . b, where the
// last term is the same for every position, so that softmax does not see it; and the attended value is
// sum a (V x + b) = V (sum a x) + b.  So a head's query goes through K^T once, attends to the positions themselves, and
// their mixture goes through V once: 2 C^2 multiplications a picture instead of 2 C^2 a position.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "clipon/nn/operand.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct AttentionPool {
  std::vector<float> positional_embedding;      // [positions + 1, channels]; row 0 is the mean's
  Linear query;                                 // [channels, channels]
  std::vector<kernels::PackedMatrix> head_key;  // a head: K^T, [channels, head width]
  std::vector<Linear> head_value;               // a head: V, [head width, channels]
  Linear out;                                   // c_proj, [embed_dim, channels]

  [[nodiscard]] index_t channels() const { return query.inputs(); }
  [[nodiscard]] index_t heads() const { return static_cast<index_t>(head_key.size()); }
  [[nodiscard]] index_t tokens() const { return static_cast<index_t>(positional_embedding.size()) / channels(); }
  [[nodiscard]] DataType type() const { return query.type(); }  // of all products: f32 or bf16
};

/// key, value [channels, channels] -> a pool whose query and out are still to be set.
inline AttentionPool make_attention_pool(const Context& context, std::vector<float> positional_embedding, index_t heads,
                                         const float* key, const float* value, const std::vector<float>& value_bias,
                                         DataType type) {
  AttentionPool pool;
  pool.positional_embedding = std::move(positional_embedding);
  const auto channels = static_cast<index_t>(value_bias.size());
  const index_t width = channels / heads;
  AlignedBuffer<float> transposed(static_cast<std::size_t>(channels * width));
  for (index_t first = 0; first < channels; first += width) {
    for (index_t c = 0; c < channels; ++c) {
      for (index_t d = 0; d < width; ++d) transposed.data()[c * width + d] = key[(first + d) * channels + c];
    }
    const kernels::StoredMatrix columns{transposed.data(), nullptr, DataType::f32, channels, width};
    const kernels::StoredMatrix rows{value + first * channels, nullptr, DataType::f32, width, channels};
    pool.head_key.emplace_back(context, columns, type);
    pool.head_value.push_back(
        {kernels::PackedMatrix(context, rows, type), {value_bias.begin() + first, value_bias.begin() + first + width}});
  }
  return pool;
}

/// The buffers of one call.
struct AttentionPoolScratch {
  float* x = nullptr;         // [pictures, tokens, channels]
  float* query = nullptr;     // [pictures, channels], then the attended values
  float* per_head = nullptr;  // [pictures, heads, channels]: queries through K^T
  float* mixed = nullptr;     // [pictures, heads, channels]
  OperandRows operand;        // [pictures * heads, channels]: rows as the products read them, where that isn't f32
  float* attention = nullptr;
  index_t attention_a_thread = 0;

  static index_t bytes(const Context& context, const AttentionPool& pool, index_t pictures) {
    const index_t rows = pictures * pool.heads();
    return Scratch::size_for<float>(pictures * pool.tokens() * pool.channels()) +
           Scratch::size_for<float>(pictures * pool.channels()) + 2 * Scratch::size_for<float>(rows * pool.channels()) +
           operand_bytes(pool.type(), operand_rows(pool, pictures), pool.channels()) +
           Scratch::size_for<float>(context.threads.count * attention_floats(context, pool));
  }

  AttentionPoolScratch(const Context& context, const AttentionPool& pool, index_t pictures, Scratch& scratch)
      : x(scratch.take<float>(pictures * pool.tokens() * pool.channels())),
        query(scratch.take<float>(pictures * pool.channels())),
        per_head(scratch.take<float>(pictures * pool.heads() * pool.channels())),
        mixed(scratch.take<float>(pictures * pool.heads() * pool.channels())),
        operand(take_operand(scratch, pool.type(), operand_rows(pool, pictures), pool.channels())),
        attention(scratch.take<float>(context.threads.count * attention_floats(context, pool))),
        attention_a_thread(attention_floats(context, pool)) {}

 private:
  static index_t operand_rows(const AttentionPool& pool, index_t pictures) {
    return pool.type() == DataType::f32 ? 0 : pictures * pool.heads();
  }
  static index_t attention_floats(const Context& context, const AttentionPool& pool) {
    return context.kernels->attention_scratch(pool.tokens(), pool.channels());
  }
};

inline float map_element(const Operand& map, index_t i) {
  return map.type == DataType::f32 ? static_cast<const float*>(map.data)[i]
                                   : bf16_to_float(static_cast<const std::uint16_t*>(map.data)[i]);
}

// One picture's map [tokens - 1, channels] -> x [tokens, channels]: the mean and the positions, embedded.
inline void pool_tokens(const AttentionPool& pool, const Operand& map, float* x) {
  const index_t channels = pool.channels();
  const index_t positions = pool.tokens() - 1;
  std::fill_n(x, channels, 0.0f);
  for (index_t i = 0; i < positions * channels; i += channels) {
    for (index_t c = 0; c < channels; ++c) {
      const float value = map_element(map, i + c);
      x[c] += value;
      x[channels + i + c] = value;
    }
  }
  const float inverse = 1.0f / static_cast<float>(positions);
  for (index_t c = 0; c < channels; ++c) x[c] *= inverse;
  const float* embedding = pool.positional_embedding.data();
  for (index_t i = 0; i < pool.tokens() * channels; ++i) x[i] += embedding[i];
}

// Each head's query [head width] -> K^T q [channels] -> softmax over the positions -> their mixture [channels].
inline void attend_positions(const Context& context, const AttentionPool& pool, index_t pictures,
                             const AttentionPoolScratch& s) {
  const index_t channels = pool.channels();
  const index_t heads = pool.heads();
  const index_t head_width = channels / heads;
  const Context alone = context.alone();
  const Operand query = as_operand(context, {s.query, channels}, pictures, channels, pool.type(), s.operand);
  parallel::parallel_for(context.threads, heads, [&](index_t h) {
    const Operand rows = query.from(0, h * head_width);
    kernels::Epilogue out;
    out.out = s.per_head + h * channels;
    out.out_stride = heads * channels;
    kernels::gemm(alone, rows, pictures, pool.head_key[static_cast<std::size_t>(h)], out);
  });
  const index_t parts = std::min<index_t>(context.threads.count, heads);  // of a picture's heads
  const index_t tasks = pictures * parts;
  const index_t teams = std::min<index_t>(context.threads.count, tasks);
  parallel::parallel_for(context.threads, teams, [&](index_t team) {
    for (index_t task = team; task < tasks; task += teams) {
      const index_t picture = task / parts;
      const index_t first = task % parts * heads / parts;
      kernels::AttentionHead head;  // the queries are the heads', keys and values the positions themselves
      const Operand positions{s.x + picture * pool.tokens() * channels, channels};
      head.q = {s.per_head + (picture * heads + first) * channels, channels};
      head.k = positions;
      head.v = positions;
      head.out = {s.mixed + (picture * heads + first) * channels, channels, DataType::f32, nullptr};
      head.queries = (task % parts + 1) * heads / parts - first;
      head.keys = pool.tokens();
      head.head_width = channels;
      head.scale = 1.0f / std::sqrt(static_cast<float>(head_width));
      head.scratch = s.attention + team * s.attention_a_thread;
      context.kernels->attention_head(head);
    }
  });
}

/// maps [pictures, tokens - 1, channels], f32 or bf16 -> out [pictures, embed_dim].
inline void forward(const Context& context, const AttentionPool& pool, const Operand& maps, index_t pictures,
                    float* out, Scratch& scratch) {
  const index_t channels = pool.channels();
  const index_t tokens = pool.tokens();
  const index_t heads = pool.heads();
  const index_t head_width = channels / heads;
  const AttentionPoolScratch s(context, pool, pictures, scratch);
  parallel::parallel_for(context.threads, pictures, [&](index_t p) {
    pool_tokens(pool, maps.from_row(p * (tokens - 1)), s.x + p * tokens * channels);
  });
  const Context alone = context.alone();
  const Operand means = as_operand(context, {s.x, tokens * channels}, pictures, channels, pool.type(), s.operand);
  forward(context, pool.query, means, pictures, {s.query, channels});
  attend_positions(context, pool, pictures, s);
  const Operand mixed = as_operand(context, {s.mixed, channels}, pictures * heads, channels, pool.type(), s.operand);
  parallel::parallel_for(context.threads, heads, [&](index_t h) {
    Operand rows = mixed.from_row(h);
    rows.stride = heads * mixed.stride;
    forward(alone, pool.head_value[static_cast<std::size_t>(h)], rows, pictures, {s.query + h * head_width, channels});
  });
  const Operand attended = as_operand(context, {s.query, channels}, pictures, channels, pool.type(), s.operand);
  forward(context, pool.out, attended, pictures, {out, pool.out.outputs()});
}

}  // namespace clipon::inline CLIPON_ABI::nn

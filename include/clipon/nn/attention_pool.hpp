// Attention pooling of feature maps: one query, the mean of all positions, attends to them all.  Layer 3.
// openai/CLIP clip/model.py, AttentionPool2d.
#pragma once

#include <algorithm>
#include <vector>

#include "clipon/nn/single_query_attention.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct AttentionPool {
  std::vector<float> positional_embedding;  // [positions + 1, channels]; row 0 is the mean's
  SingleQueryAttention attention;           // whose products have one type, f32 or bf16; out is c_proj

  [[nodiscard]] index_t channels() const { return attention.width(); }
  [[nodiscard]] index_t tokens() const { return static_cast<index_t>(positional_embedding.size()) / channels(); }
};

/// The buffers of one call.
struct AttentionPoolScratch {
  float* x = nullptr;             // [pictures, tokens, channels]
  OperandRows rounded;            // [pictures * tokens, channels]: x as the products read it, where that isn't f32
  OperandRows attended;           // [pictures, channels]
  Sequence* sequences = nullptr;  // [pictures]
  SingleQueryScratch heads;

  static index_t bytes(const Context& context, const AttentionPool& pool, index_t pictures) {
    const DataType type = pool.attention.type();
    return Scratch::size_for<float>(pictures * pool.tokens() * pool.channels()) +
           operand_bytes(type, rounded_rows(pool, pictures), pool.channels()) +
           operand_bytes(type, pictures, pool.channels()) + Scratch::size_for<Sequence>(pictures) +
           SingleQueryScratch::bytes(context, pool.attention, pictures, pool.tokens());
  }

  AttentionPoolScratch(const Context& context, const AttentionPool& pool, index_t pictures, Scratch& scratch)
      : x(scratch.take<float>(pictures * pool.tokens() * pool.channels())),
        rounded(take_operand(scratch, pool.attention.type(), rounded_rows(pool, pictures), pool.channels())),
        attended(take_operand(scratch, pool.attention.type(), pictures, pool.channels())),
        sequences(scratch.take<Sequence>(pictures)),
        heads(context, pool.attention, pictures, pool.tokens(), scratch) {}

 private:
  static index_t rounded_rows(const AttentionPool& pool, index_t pictures) {
    return pool.attention.type() == DataType::f32 ? 0 : pictures * pool.tokens();
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

/// maps [pictures, tokens - 1, channels], f32 or bf16 -> out [pictures, embed_dim].
inline void forward(const Context& context, const AttentionPool& pool, const Operand& maps, index_t pictures,
                    float* out, Scratch& scratch) {
  const index_t channels = pool.channels();
  const index_t tokens = pool.tokens();
  const AttentionPoolScratch s(context, pool, pictures, scratch);
  parallel::parallel_for(context.threads, pictures, [&](index_t p) {
    pool_tokens(pool, maps.from_row(p * (tokens - 1)), s.x + p * tokens * channels);
  });
  for (index_t p = 0; p < pictures; ++p) s.sequences[p] = {p * tokens, tokens, nullptr, tokens};
  const DataType type = pool.attention.type();
  const Operand positions = as_operand(context, {s.x, channels}, pictures * tokens, channels, type, s.rounded);
  Operand means = positions;
  means.stride *= tokens;
  attend(context, pool.attention, means, positions, {s.sequences, static_cast<std::size_t>(pictures)}, s.attended,
         s.heads);
  const Linear& c_proj = pool.attention.out;
  forward(context, c_proj, s.attended.read(), pictures, {out, c_proj.outputs()});
}

}  // namespace clipon::inline CLIPON_ABI::nn

// Attention pooling of a feature map: one query, the mean of all positions, attends to them all.  Layer 3.
// openai/CLIP clip/model.py, AttentionPool2d.
#pragma once

#include <algorithm>
#include <vector>

#include "clipon/nn/attention.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct AttentionPool {
  std::vector<float> positional_embedding;  // [positions + 1, channels]; row 0 is the mean's
  AttentionWeights attention;               // `out` is c_proj, [embed_dim, channels]

  [[nodiscard]] index_t channels() const { return attention.width(); }
  [[nodiscard]] index_t tokens() const { return static_cast<index_t>(positional_embedding.size()) / channels(); }
};

inline index_t attention_pool_bytes(const Context& context, const AttentionPool& pool) {
  return Scratch::size_for<float>(pool.tokens() * pool.channels()) +
         Scratch::size_for<float>(pool.tokens() * 2 * pool.channels()) + 2 * Scratch::size_for<float>(pool.channels()) +
         Scratch::size_for<float>(attention_scratch_floats(context, pool.attention, pool.tokens()));
}

/// map [tokens - 1, channels] -> out [embed_dim].
inline void forward(const Context& context, const AttentionPool& pool, const float* map, float* out, Scratch& scratch) {
  const index_t channels = pool.channels();
  const index_t tokens = pool.tokens();
  const index_t attention_floats = attention_scratch_floats(context, pool.attention, tokens);
  auto* x = scratch.take<float>(tokens * channels);              // [tokens, channels]
  auto* key_value = scratch.take<float>(tokens * 2 * channels);  // [tokens, 2 channels]
  auto* query = scratch.take<float>(channels);                   // [1, channels]
  auto* attended = scratch.take<float>(channels);                // [1, channels]
  auto* attention = scratch.take<float>(attention_floats);

  std::fill_n(x, channels, 0.0f);
  for (index_t t = 1; t < tokens; ++t) {
    for (index_t c = 0; c < channels; ++c) x[c] += map[(t - 1) * channels + c];
  }
  const float inverse = 1.0f / static_cast<float>(tokens - 1);
  for (index_t c = 0; c < channels; ++c) x[c] *= inverse;
  std::copy_n(map, (tokens - 1) * channels, x + channels);
  for (index_t i = 0; i < tokens * channels; ++i) x[i] += pool.positional_embedding[static_cast<std::size_t>(i)];

  forward(context, pool.attention.query, {x, channels}, 1, {query, channels});
  forward(context, pool.attention.key_value, {x, channels}, tokens, {key_value, 2 * channels});
  const Sequence all{0, tokens, nullptr, tokens};
  attend(context, pool.attention, {{query, channels}, true}, {key_value, 2 * channels}, {&all, 1}, {attended, channels},
         attention, attention_floats / context.threads.count);
  const index_t embed_dim = pool.attention.out.outputs();
  forward(context, pool.attention.out, {attended, channels}, 1, {out, embed_dim});
}

}  // namespace clipon::inline CLIPON_ABI::nn

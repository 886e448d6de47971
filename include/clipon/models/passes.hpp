// How a batch is divided: into passes of a size that suits the caches, and those over threads.  Layer 4; called by
// Model. A row of the result depends on its own input alone (see kernels/gemm.hpp), so none of this changes an answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "clipon/models/registry.hpp"

namespace clipon::inline CLIPON_ABI::models {

/// Items first .. last of a batch.
struct Pass {
  index_t first = 0;
  index_t last = 0;
  [[nodiscard]] index_t count() const { return last - first; }
};

/// Passes of at most `most` items; smaller ones where that gives each thread as many as the others.
inline std::vector<Pass> equal_passes(index_t items, index_t most, int threads) {
  index_t count = (items + most - 1) / most;
  count = std::min((count + threads - 1) / threads * threads, items);
  std::vector<Pass> passes;
  for (index_t p = 0; p < count; ++p) passes.push_back({p * items / count, (p + 1) * items / count});
  return passes;
}

/// Passes of about `most` tokens each, in the order of the texts.
inline std::vector<Pass> passes_by_length(std::span<const std::span<const std::int32_t>> texts, index_t most,
                                          int threads) {
  index_t total = 0;
  for (const auto& text : texts) total += static_cast<index_t>(text.size());
  const index_t limit = std::clamp<index_t>((total + threads - 1) / threads, 1, most);
  std::vector<Pass> passes;
  index_t tokens = 0;
  for (index_t i = 0; i < static_cast<index_t>(texts.size()); ++i) {
    const auto length = static_cast<index_t>(texts[static_cast<std::size_t>(i)].size());
    if (passes.empty() || tokens + length > limit) {
      passes.push_back({i, i});
      tokens = 0;
    }
    passes.back().last = i + 1;
    tokens += length;
  }
  return passes;
}

/// body(context, pass) for each pass: side by side on one thread each where there are enough of them, else one after
/// the other with all threads inside each.
template <class Body>
void for_each_pass(const nn::Context& context, const std::vector<Pass>& passes, const Body& body) {
  const auto count = static_cast<index_t>(passes.size());
  if (count >= context.threads.count) {
    const nn::Context alone{context.kernels, {1}};
    parallel::parallel_for(context.threads, count,
                           [&](index_t p) { body(alone, passes[static_cast<std::size_t>(p)]); });
  } else {
    for (const Pass& pass : passes) body(context, pass);
  }
}

/// Pictures [n, size, size, 3] of one pass -> out [n, embed_dim], not normalised.
inline void forward_images(const nn::Context& context, const ImageTower& tower, const ImageInput& input, index_t n,
                           float* out, ScratchPool& pool) {
  std::visit(
      [&](const auto& t) {
        const ScratchPool::Lease lease = pool.borrow();
        (*lease).reset(t.scratch_bytes(context, n));
        t.forward(context, input, n, out, *lease);
      },
      tower);
}

/// Token sequences of one pass -> out [n, embed_dim], not normalised.
inline void forward_texts(const nn::Context& context, const TextTransformer& tower,
                          std::span<const std::span<const std::int32_t>> texts, float* out, ScratchPool& pool) {
  index_t tokens = 0;
  index_t longest = 0;
  for (const auto& text : texts) {
    tokens += static_cast<index_t>(text.size());
    longest = std::max(longest, static_cast<index_t>(text.size()));
  }
  const ScratchPool::Lease lease = pool.borrow();
  (*lease).reset(tower.scratch_bytes(context, static_cast<index_t>(texts.size()), tokens, longest));
  tower.forward(context, texts, out, *lease);
}

}  // namespace clipon::inline CLIPON_ABI::models

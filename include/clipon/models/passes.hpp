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

/// Passes of about `most` computed rows each, in the order of the texts, as many as give each thread the same share.  A
/// text that has all its rows from the one before counts as one: the last block computes a row of each.
inline std::vector<Pass> passes_by_rows(const TextBatch& batch, index_t most, int threads) {
  const auto rows_of = [&](index_t i) {
    return std::max<index_t>(static_cast<index_t>(batch.text(i).size()) - batch.shared(i), 1);
  };
  index_t all = 0;
  for (index_t i = 0; i < batch.count(); ++i) all += rows_of(i);
  index_t count = (all + most - 1) / most;
  count = std::min((count + threads - 1) / threads * threads, batch.count());
  std::vector<Pass> passes;
  index_t rows = 0;
  for (index_t i = 0; i < batch.count(); ++i) {
    if (passes.empty() || rows * count >= static_cast<index_t>(passes.size()) * all) passes.push_back({i, i});
    passes.back().last = i + 1;
    rows += rows_of(i);
  }
  return passes;
}

/// body(context, pass) for each pass: side by side on one thread each where there are enough of them, else one after
/// the other with all threads inside each.
template <class Body>
void for_each_pass(const nn::Context& context, const std::vector<Pass>& passes, const Body& body) {
  const auto count = static_cast<index_t>(passes.size());
  if (count >= context.threads.count) {
    const nn::Context alone = context.alone();
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

/// Texts of one pass -> out [n, embed_dim], not normalised.
inline void forward_texts(const nn::Context& context, const TextTransformer& tower, const TextBatch& batch, float* out,
                          ScratchPool& pool) {
  const ScratchPool::Lease lease = pool.borrow();
  (*lease).reset(tower.scratch_bytes(context, batch));
  tower.forward(context, batch, out, *lease);
}

}  // namespace clipon::inline CLIPON_ABI::models

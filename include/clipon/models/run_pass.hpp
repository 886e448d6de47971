// A batch as a tower's passes, and one of those through the tower, with memory borrowed for it.  Layer 4; called by
// Model.
#pragma once

#include <variant>
#include <vector>

#include "clipon/models/passes.hpp"
#include "clipon/models/registry.hpp"

namespace clipon::inline CLIPON_ABI::models {

inline Passes divide_pictures(const nn::Context& context, const ImageTower& tower, std::size_t n) {
  return std::visit(
      [&](const auto& t) {
        const std::vector<index_t> rows(n, t.rows_a_picture());
        return divide(rows, t.pass_rows(context), context.threads.count);
      },
      tower);
}

/// In the order of the texts.
inline Passes divide_texts(const nn::Context& context, const TextTransformer& tower, const TextBatch& batch) {
  std::vector<index_t> rows;
  for (index_t i = 0; i < batch.count(); ++i) rows.push_back(TextTransformer::rows_of(batch, i));
  return divide(rows, tower.pass_rows(context), context.threads.count);
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

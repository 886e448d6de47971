// How a batch is divided: into passes of a size that suits the caches, and those over threads.  Layer 4; called by
// Model, told by the towers what suits them.  A row of the result depends on its own input alone (see
// kernels/gemm.hpp), so none of this changes an answer.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::models {

/// Items first .. last of a batch.
struct Pass {
  index_t first = 0;
  index_t last = 0;
  [[nodiscard]] index_t count() const { return last - first; }
};

/// What a tower says of its passes.  Rows are what its layers compute of an item: a picture's or a text's tokens.
struct PassRows {
  index_t most = 1;   // of a pass; an item that has more is a pass of its own
  index_t least = 1;  // that a thread takes on alone
};

struct Passes {
  std::vector<Pass> passes;
  bool alone = false;  // side by side, on one thread each; else one after another, all threads inside each
};

// `count` passes of nearly equal rows, or fewer where an item has more than that; rows [items].
inline std::vector<Pass> cut(std::span<const index_t> rows, index_t count) {
  const index_t all = std::accumulate(rows.begin(), rows.end(), index_t{0});
  std::vector<Pass> passes;
  index_t before = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto item = static_cast<index_t>(i);
    if (before * count >= static_cast<index_t>(passes.size()) * all) passes.push_back({item, item});
    passes.back().last = item + 1;
    before += rows[i];
  }
  return passes;
}

// The rows of the thread that has most, where each begins with as many passes as the others.
inline index_t greatest_share(std::span<const index_t> rows, const std::vector<Pass>& passes, index_t threads) {
  const parallel::Split shares(static_cast<index_t>(passes.size()), threads);
  std::vector<index_t> share(static_cast<std::size_t>(threads));
  for (std::size_t p = 0; p < passes.size(); ++p) {
    index_t& own = share[static_cast<std::size_t>(shares.of(static_cast<index_t>(p)))];
    own = std::accumulate(rows.begin() + passes[p].first, rows.begin() + passes[p].last, own);
  }
  return *std::max_element(share.begin(), share.end());
}

/// Passes for items of so many rows each.  Threads that compute alone wait for nobody, but each reads all weights, and
/// at the end all wait for the one with most to do.
inline Passes divide(std::span<const index_t> rows, const PassRows& limits, index_t threads) {
  const index_t all = std::accumulate(rows.begin(), rows.end(), index_t{0});
  const index_t count = (all + limits.most - 1) / limits.most;
  if (threads > 1 && all >= threads * limits.least) {
    auto passes = cut(rows, (count + threads - 1) / threads * threads);
    const bool enough = static_cast<index_t>(passes.size()) >= threads;
    // more by a tenth is what waiting for each other would cost (texts at batch 8 to 64, Zen 4: 0.90 to 0.92)
    if (enough && 10 * greatest_share(rows, passes, threads) * threads <= 11 * all) return {std::move(passes), true};
  }
  return {cut(rows, count), false};
}

/// body(context, pass) for each pass.
template <class Body>
void for_each_pass(const kernels::Context& context, const Passes& all, const Body& body) {
  if (all.alone) {
    const kernels::Context alone = context.alone();
    parallel::parallel_for(context.threads, static_cast<index_t>(all.passes.size()),
                           [&](index_t p) { body(alone, all.passes[static_cast<std::size_t>(p)]); });
  } else {
    for (const Pass& pass : all.passes) {
      context.in_a_team([&](const kernels::Context& own) { body(own, pass); });
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::models

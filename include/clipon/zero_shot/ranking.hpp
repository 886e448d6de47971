// From embeddings and prototypes to the best labels of each picture, as plain arrays.  Layer 6; part of zero_shot.hpp.
// Products, softmax and selection go block by block, so that a block's cosines are still in L2 when they are ranked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/core/uninitialised.hpp"
#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI {

/// The best `top` labels of each of n pictures; element (i, k) at i * top + k, best first.
struct Ranking {
  template <class T>
  using Array = std::vector<T, Uninitialised<T>>;

  std::size_t rows = 0;
  std::size_t top = 0;
  Array<std::int32_t> index;  ///< of the label
  Array<float> cosine;
  Array<float> probability;
  Array<float> margin;      ///< see Prediction::margin
  Array<float> background;  ///< [rows] cosine of the best background text (multi-label: their common level)
};

namespace detail {

// Below every cosine; stands for "there is none".
constexpr float kNoCosine = -2.0f;

struct RankJob {
  std::size_t labels = 0;  // the first of the packed rows; what follows is background
  std::size_t top = 0;     // 1 .. labels
  float scale = 1.0f;      // of the logits, temperature included
  bool multi_label = false;
};

/// What is known of one picture's cosines before they become a row of the ranking.
struct RowFacts {
  const float* values = nullptr;          // the best of the labels, best first
  const std::int32_t* indices = nullptr;  // their labels
  const float* cosines = nullptr;         // of all, as they stand
  std::size_t selected = 0;               // as many as top wants, two where there are two: the margin needs the second
  kernels::RowExp all;                    // of labels and background: softmax; not used by multi-label
  kernels::RowExp background;             // of the background alone, where there is one
};

inline std::size_t selected_of(const RankJob& job) {
  return std::min(std::max<std::size_t>(job.top, 2), job.labels);
}

/// log mean exp(scale x) / scale of a few cosines.  log mean = log1p(mean expm1): where the scale is small, a mean near
/// 1 does not hold what its logarithm is.
inline float common_level(const float* cosines, std::size_t count, const kernels::RowExp& exps, float scale) {
  const auto n = static_cast<float>(count);
  if (scale >= 1.0f) return exps.greatest + std::log(exps.sum / n) / scale;
  float sum = 0.0f;
  for (std::size_t i = 0; i < count; ++i) sum += std::expm1(scale * (cosines[i] - exps.greatest));
  return exps.greatest + std::log1p(sum / n) / scale;
}

/// Row `row` of `out`.  all: labels and background together.
inline void write_row(const RankJob& job, std::size_t all, const RowFacts& facts, std::size_t row, Ranking& out) {
  const std::size_t at = row * job.top;
  const float* values = facts.values;
  float background = kNoCosine;
  if (all > job.labels) {
    background = job.multi_label
                     ? common_level(facts.cosines + job.labels, all - job.labels, facts.background, job.scale)
                     : facts.background.greatest;
  }
  out.background[row] = background;
  // softmax over labels and background; multi-label: sigmoid of the logit above the background's level
  for (std::size_t k = 0; k < job.top; ++k) {
    out.index[at + k] = facts.indices[k];
    out.cosine[at + k] = values[k];
    if (job.multi_label) {
      out.margin[at + k] = values[k] - background;
      out.probability[at + k] = 1.0f / (1.0f + std::exp(-job.scale * (values[k] - background)));
    } else {
      const float other =
          k > 0 ? values[0] : (facts.selected > 1 ? values[1] : -1.0f);  // -1: the least cosine there is
      out.margin[at + k] = values[k] - other;
      const float below = values[k] - facts.all.greatest;
      out.probability[at + k] = (below == 0.0f ? 1.0f : std::exp(job.scale * below)) / facts.all.sum;
    }
  }
}

/// The best `selected` of a row of n, best first.
class BestOfRow {
 public:
  BestOfRow(std::size_t n, std::size_t selected)
      : n_(n), values_(selected), indices_(selected), order_(selected > kMostInserted ? n : 0) {}

  [[nodiscard]] const float* values() const { return values_.data(); }
  [[nodiscard]] const std::int32_t* indices() const { return indices_.data(); }

  void find(const kernels::KernelTable& kernels, const float* row) {
    const auto selected = static_cast<std::ptrdiff_t>(values_.size());
    if (order_.empty()) {
      kernels.best_of_row(row, static_cast<index_t>(n_), selected, values_.data(), indices_.data());
      return;
    }
    for (std::size_t i = 0; i < n_; ++i) order_[i] = static_cast<std::int32_t>(i);
    // a row of NaN stays in its order: NaN is neither above nor below, which no sort may be given
    if (is_finite({row, n_})) {
      std::partial_sort(order_.begin(), order_.begin() + selected, order_.end(),
                        [&](std::int32_t a, std::int32_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    }
    for (std::size_t k = 0; k < values_.size(); ++k) values_[k] = row[indices_[k] = order_[k]];
  }

 private:
  static constexpr std::size_t kMostInserted = 64;  // insertion takes selected x n steps: of more, sorting is cheaper

  std::size_t n_;
  std::vector<float> values_;
  std::vector<std::int32_t> indices_;
  std::vector<std::int32_t> order_;  // [n], where they are sorted
};

/// Rows first .. first + count, one by one: cosines [count, all].
inline void rank_rows_of_many(const kernels::KernelTable& kernels, const RankJob& job, const float* cosines,
                              std::size_t all, std::size_t first, std::size_t count, Ranking& out) {
  RowFacts facts;
  facts.selected = selected_of(job);
  BestOfRow best(job.labels, facts.selected);
  facts.values = best.values();
  facts.indices = best.indices();
  const auto n = static_cast<index_t>(job.labels);
  for (std::size_t row = first; row < first + count; ++row, cosines += all) {
    best.find(kernels, cosines);
    if (all > job.labels) facts.background = kernels.row_exp(cosines + n, static_cast<index_t>(all) - n, job.scale);
    if (!job.multi_label) facts.all = kernels.row_exp(cosines, static_cast<index_t>(all), job.scale);
    facts.cosines = cosines;
    write_row(job, all, facts, row, out);
  }
}

/// The same where labels and background are few: a lane a row, 64 rows at a time.
inline void rank_rows_of_few(const kernels::KernelTable& kernels, const RankJob& job, const float* cosines,
                             std::size_t all, std::size_t first, std::size_t count, Ranking& out) {
  constexpr std::size_t step = 64;
  float values[2][step] = {};
  std::int32_t indices[2][step] = {};
  float greatest[2][step] = {};  // of all, of the background
  float sum[2][step] = {};
  float best[kernels::kMostOfFew];
  std::int32_t best_index[kernels::kMostOfFew];
  RowFacts facts{best, best_index, nullptr, selected_of(job), {}, {}};
  const auto n = static_cast<index_t>(job.labels);
  const auto stride = static_cast<index_t>(all);
  for (std::size_t start = 0; start < count; start += step) {
    const float* x = cosines + start * all;
    const auto rows = static_cast<index_t>(std::min(step, count - start));
    const bool two = job.top <= 2;
    if (two) kernels.best_two_of_rows({x, stride, rows, n}, {values[0], values[1], indices[0], indices[1]});
    if (!job.multi_label) kernels.exp_of_rows({x, stride, rows, stride}, job.scale, greatest[0], sum[0]);
    if (all > job.labels) kernels.exp_of_rows({x + n, stride, rows, stride - n}, job.scale, greatest[1], sum[1]);
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i, x += all) {
      if (two) {
        best[0] = values[0][i];
        best[1] = values[1][i];
        best_index[0] = indices[0][i];
        best_index[1] = indices[1][i];
      } else {
        kernels.best_of_row(x, n, static_cast<index_t>(facts.selected), best, best_index);
      }
      facts.cosines = x;
      facts.all = {greatest[0][i], sum[0][i]};
      facts.background = {greatest[1][i], sum[1][i]};
      write_row(job, all, facts, first + start + i, out);
    }
  }
}

// Up to so many prototypes a row's products cost less than reading the row: no panels are needed.
constexpr index_t kFewPrototypes = 16;

/// Prototypes [rows, depth] of labels and background as the products want them: a few row by row, each from a cache
/// line's start (they are half of a tile's loads); more than that in panels.
class PackedPrototypes {
 public:
  PackedPrototypes(const kernels::Context& context, const Matrix& prototypes)
      : rows_(prototypes.rows()), depth_(prototypes.cols()), stride_(round_up(depth_, 16)) {
    if (!are_few()) {
      panels_ = pack_rows(context, prototypes);
      return;
    }
    few_ = AlignedBuffer<float>(static_cast<std::size_t>(rows_ * stride_));
    for (index_t i = 0; i < rows_; ++i) std::copy_n(prototypes.data() + i * depth_, depth_, few_.data() + i * stride_);
  }

  [[nodiscard]] index_t rows() const { return rows_; }
  [[nodiscard]] bool are_few() const { return rows_ <= kFewPrototypes; }
  [[nodiscard]] const kernels::PackedMatrix& panels() const { return panels_; }
  /// A product with the fields that describe the prototypes filled in, where they are few.
  [[nodiscard]] kernels::RowDots dots() const {
    kernels::RowDots dots;
    dots.w = few_.data();
    dots.w_stride = stride_;
    dots.columns = rows_;
    dots.depth = depth_;
    return dots;
  }

 private:
  index_t rows_;
  index_t depth_;
  index_t stride_;
  AlignedBuffer<float> few_;
  kernels::PackedMatrix panels_;
};

/// embeddings [n, d] against the prototypes of labels and background.
inline Ranking rank_rows(const kernels::Context& context, const ConstMatrixRef& embeddings,
                         const PackedPrototypes& prototypes, const RankJob& job) {
  Ranking out;
  out.rows = static_cast<std::size_t>(embeddings.rows());
  out.top = job.top;
  const std::size_t cells = out.rows * out.top;
  out.index.resize(cells);
  out.cosine.resize(cells);
  out.probability.resize(cells);
  out.margin.resize(cells);
  out.background.resize(out.rows);
  const index_t all = prototypes.rows();
  const auto rank_block = [&](index_t first, index_t count, const float* cosines) {
    const auto rank = all <= kernels::kMostOfFew ? rank_rows_of_few : rank_rows_of_many;
    rank(*context.kernels, job, cosines, static_cast<std::size_t>(all), static_cast<std::size_t>(first),
         static_cast<std::size_t>(count), out);
  };
  if (!prototypes.are_few()) {
    for_each_product_block(context, embeddings, prototypes.panels(), rank_block);
    return out;
  }
  constexpr index_t most = 1024;  // rows: long enough walks for the prefetchers, and products that stay in L2
  const index_t height = std::clamp<index_t>(embeddings.rows() / (4 * context.threads.count), 16, most);
  const index_t blocks = (embeddings.rows() + height - 1) / height;
  parallel::parallel_for(context.threads, blocks, [&](index_t block) {
    float cosines[most * kFewPrototypes + 3];
    kernels::RowDots dots = prototypes.dots();
    const index_t first = block * height;
    dots.rows = std::min(height, embeddings.rows() - first);
    dots.x = embeddings.data() + first * embeddings.outerStride();
    dots.x_stride = embeddings.outerStride();
    dots.out = cosines;
    context.kernels->row_dots(dots);
    rank_block(first, dots.rows, cosines);
  });
  return out;
}

}  // namespace detail

}  // namespace clipon::inline CLIPON_ABI

// From embeddings and prototypes to the best labels of each picture, as plain arrays.  Layer 6; part of zero_shot.hpp.
// Products, softmax and selection go block by block, so that a block's cosines are still in L2 when they are ranked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI {

/// The best `top` labels of each of n pictures; element (i, k) at i * top + k, best first.
struct Ranking {
  std::size_t rows = 0;
  std::size_t top = 0;
  std::vector<std::int32_t> index;  ///< of the label
  std::vector<float> cosine;
  std::vector<float> probability;
  std::vector<float> margin;      ///< see Prediction::margin
  std::vector<float> background;  ///< [rows] cosine of the best background text (multi-label: their common level)
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

/// One picture: cosines [labels + background] -> row `row` of `out`.
inline void rank_row(const kernels::KernelTable& kernels, const RankJob& job, const float* cosines, std::size_t all,
                     std::size_t row, Ranking& out) {
  const auto n = static_cast<index_t>(job.labels);
  const std::size_t at = row * job.top;
  // The second best gives the first one's margin, wanted or not.
  constexpr std::size_t local = 64;
  const std::size_t selected = std::min(std::max<std::size_t>(job.top, 2), job.labels);
  float small_values[local];
  std::int32_t small_indices[local];
  std::vector<float> large_values(selected > local ? selected : 0);
  std::vector<std::int32_t> large_indices(large_values.size());
  float* values = selected > local ? large_values.data() : small_values;
  std::int32_t* indices = selected > local ? large_indices.data() : small_indices;
  if (selected > local) {  // insertion would take selected x labels steps
    std::vector<std::int32_t> order(job.labels);
    for (std::size_t i = 0; i < job.labels; ++i) order[i] = static_cast<std::int32_t>(i);
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(selected), order.end(),
        [&](std::int32_t a, std::int32_t b) { return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b; });
    for (std::size_t k = 0; k < selected; ++k) {
      indices[k] = order[k];
      values[k] = cosines[order[k]];
    }
  } else {
    kernels.best_of_row(cosines, n, static_cast<index_t>(selected), values, indices);
  }

  float background = kNoCosine;
  if (all > job.labels) {
    const auto others = kernels.row_exp(cosines + job.labels, static_cast<index_t>(all) - n, job.scale);
    background = others.greatest;
    if (job.multi_label) background += std::log(others.sum / static_cast<float>(all - job.labels)) / job.scale;
  }
  out.background[row] = background;
  // softmax over labels and background; multi-label: sigmoid of the logit above the background's level
  kernels::RowExp total;
  if (!job.multi_label) total = kernels.row_exp(cosines, static_cast<index_t>(all), job.scale);
  for (std::size_t k = 0; k < job.top; ++k) {
    out.index[at + k] = indices[k];
    out.cosine[at + k] = values[k];
    if (job.multi_label) {
      out.margin[at + k] = values[k] - background;
      out.probability[at + k] = 1.0f / (1.0f + std::exp(-job.scale * (values[k] - background)));
    } else {
      const float other = k > 0 ? values[0] : (selected > 1 ? values[1] : -1.0f);  // -1: the least cosine there is
      out.margin[at + k] = values[k] - other;
      const float below = values[k] - total.greatest;
      out.probability[at + k] = (below == 0.0f ? 1.0f : std::exp(job.scale * below)) / total.sum;
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
      : rows_(prototypes.rows()), depth_(prototypes.cols()), stride_((depth_ + 15) / 16 * 16) {
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
  /// The part of a product that tells of the prototypes, where they are few.
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
    for (index_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::size_t>(first + i);
      rank_row(*context.kernels, job, cosines + i * all, static_cast<std::size_t>(all), row, out);
    }
  };
  if (!prototypes.are_few()) {
    for_each_product_block(context, embeddings, prototypes.panels(), rank_block);
    return out;
  }
  constexpr index_t height = 64;  // rows whose products stay in L1 until they are ranked
  const index_t blocks = (embeddings.rows() + height - 1) / height;
  parallel::parallel_for(context.threads, blocks, [&](index_t block) {
    float cosines[height * kFewPrototypes];
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

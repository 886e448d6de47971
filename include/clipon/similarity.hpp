// What CLIP computes with embeddings: cosines, logits, the contrastive loss.  PUBLIC, layer 6.
// Radford et al. 2021, figure 3 (the pseudocode); openai/CLIP clip/model.py, CLIP.forward.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "clipon/model.hpp"

namespace clipon::inline CLIPON_ABI {

namespace detail {
inline void check_same_width(const ConstMatrixRef& a, const ConstMatrixRef& b) {
  if (a.cols() != b.cols()) {
    throw Error(ErrorCode::invalid_argument, "embeddings: expected the same width, found " + std::to_string(a.cols()) +
                                                 " and " + std::to_string(b.cols()));
  }
}
}  // namespace detail

/// Cosines of unit rows: images [n, d], texts [m, d] -> [n, m], in -1..1.
inline Matrix similarity(const Model& model, const ConstMatrixRef& images, const ConstMatrixRef& texts) {
  detail::check_same_width(images, texts);
  Matrix out(images.rows(), texts.rows());
  if (out.size() == 0) return out;
  std::vector<float> columns;  // [m, d], contiguous
  for (Eigen::Index i = 0; i < texts.rows(); ++i) {
    const float* row = texts.data() + i * texts.outerStride();
    columns.insert(columns.end(), row, row + texts.cols());
  }
  const kernels::StoredMatrix stored{columns.data(), nullptr, DataType::f32, texts.rows(), texts.cols()};
  const kernels::PackedMatrix packed(model.context(), stored);
  kernels::Epilogue epilogue;
  epilogue.out = out.data();
  epilogue.out_stride = out.cols();
  kernels::gemm(model.context(), {images.data(), images.outerStride()}, images.rows(), packed, epilogue);
  return out;
}

/// logits_per_image [n, m] = scale * cosine + bias; logits_per_text is its transpose.
inline Matrix logits(const Model& model, const ConstMatrixRef& images, const ConstMatrixRef& texts) {
  Matrix out = similarity(model, images, texts);
  for (float* x = out.data(); x != out.data() + out.size(); ++x) *x = *x * model.logit_scale() + model.logit_bias();
  return out;
}

/// softmax of n numbers, in place, in double: exp(x - max) over its sum.
inline void softmax(float* x, std::size_t n) {
  if (n == 0) return;
  const float greatest = *std::max_element(x, x + n);
  double sum = 0.0;
  std::vector<double> e(n);
  for (std::size_t i = 0; i < n; ++i) sum += e[i] = std::exp(double{x[i]} - double{greatest});
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(e[i] / sum);
}

/// The symmetric cross-entropy over n pairs: logits [n, n], row i's partner is column i.
/// (mean_i -log softmax_row(i)[i] + mean_i -log softmax_column(i)[i]) / 2.  Throws Error invalid_argument if not
/// square.
inline double contrastive_loss(const ConstMatrixRef& logits_per_image) {
  const Eigen::Index n = logits_per_image.rows();
  if (n == 0 || logits_per_image.cols() != n) {
    throw Error(ErrorCode::invalid_argument, "logits: expected a square matrix, found [" + std::to_string(n) + ", " +
                                                 std::to_string(logits_per_image.cols()) + "]");
  }
  const auto log_sum_exp = [n](const auto& x) {
    double greatest = double{x(0)};
    for (Eigen::Index i = 1; i < n; ++i) greatest = std::max(greatest, double{x(i)});
    double sum = 0.0;
    for (Eigen::Index i = 0; i < n; ++i) sum += std::exp(double{x(i)} - greatest);
    return greatest + std::log(sum);
  };
  double loss = 0.0;
  for (Eigen::Index i = 0; i < n; ++i) {
    const double own = double{logits_per_image(i, i)};
    loss += log_sum_exp([&](Eigen::Index j) { return logits_per_image(i, j); }) - own;
    loss += log_sum_exp([&](Eigen::Index j) { return logits_per_image(j, i); }) - own;
  }
  return loss / (2.0 * static_cast<double>(n));
}

}  // namespace clipon::inline CLIPON_ABI

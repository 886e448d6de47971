// The objective that CLIP is trained with: symmetric cross-entropy over the cosines of a batch's pairs.  Layer 6; part
// of similarity.hpp.  Radford et al. 2021, figure 3; van den Oord et al. 2018 (InfoNCE); open_clip loss.py, ClipLoss.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI {

/// The symmetric cross-entropy over n pairs: logits [n, n], row i's partner is column i.
/// (mean_i -log softmax_row(i)[i] + mean_i -log softmax_column(i)[i]) / 2.  Throws Error invalid_argument if not
/// square.
[[nodiscard]] inline double contrastive_loss(const ConstMatrixRef& logits_per_image) {
  const FloatingPointScope scope;
  const Eigen::Index n = logits_per_image.rows();
  if (n == 0 || logits_per_image.cols() != n) {
    throw Error(ErrorCode::invalid_argument, "logits: expected a square matrix, found [" + std::to_string(n) + ", " +
                                                 std::to_string(logits_per_image.cols()) + "]");
  }
  // -log softmax(x)[own]; greatest - x[own] first, since a large logit would swallow the logarithm
  const auto loss_of = [n](Eigen::Index own, const auto& x) {
    double greatest = double{x(0)};
    for (Eigen::Index i = 1; i < n; ++i) greatest = std::max(greatest, double{x(i)});
    double sum = 0.0;
    for (Eigen::Index i = 0; i < n; ++i) sum += std::exp(double{x(i)} - greatest);
    return (greatest - double{x(own)}) + std::log(sum);
  };
  double loss = 0.0;
  for (Eigen::Index i = 0; i < n; ++i) {
    loss += loss_of(i, [&](Eigen::Index j) { return logits_per_image(i, j); });
    loss += loss_of(i, [&](Eigen::Index j) { return logits_per_image(j, i); });
  }
  return computed(loss / (2.0 * static_cast<double>(n)));
}

struct ContrastiveGradients {
  double loss = 0.0;
  Matrix images;             ///< [n, d]: the loss's derivative by each element of the image embeddings
  Matrix texts;              ///< [n, d]
  double logit_scale = 0.0;  ///< by the scale s of logits = s cosine; by the logarithm that CLIP learns: s times this
};

namespace detail {

inline void check_pairs(const ConstMatrixRef& images, const ConstMatrixRef& texts, float scale) {
  check_same_width(images, texts);
  if (images.rows() == 0 || images.rows() != texts.rows()) {
    throw Error(ErrorCode::invalid_argument, "pairs: expected as many pictures as texts, at least one, found " +
                                                 std::to_string(images.rows()) + " and " +
                                                 std::to_string(texts.rows()));
  }
  constexpr float least = 1e-30f;  // whose reciprocal times a logarithm is a float
  if (!(scale >= least) || !is_finite(double{scale})) {
    throw Error(ErrorCode::invalid_argument,
                "logit scale: expected a finite number of at least 1e-30, found " + shown(double{scale}));
  }
}

/// Softmax over the logits of each row with all partners.
struct RowSoftmax {
  std::vector<double> shifts;  // r with softmax of row i = exp(scale (cosine - r_i)): the greatest cosine plus
                               // log(sum) / scale
  std::vector<double> losses;  // -log softmax of the own partner: scale (r_i - own cosine), of the same products, so
                               // that a small loss isn't the rounding of two
};

inline RowSoftmax row_softmax(const kernels::Context& context, const ConstMatrixRef& a, const kernels::PackedMatrix& b,
                              float scale) {
  const auto n = static_cast<std::size_t>(a.rows());
  RowSoftmax out{std::vector<double>(n), std::vector<double>(n)};
  for_each_product_block(context, a, b, [&](index_t first, index_t count, const float* cosines) {
    for (index_t i = 0; i < count; ++i) {
      const float* cosine = cosines + i * b.rows();
      const auto row = context.kernels->row_exp(cosine, b.rows(), scale);
      const double log_sum = std::log(double{row.sum});
      const auto at = static_cast<std::size_t>(first + i);
      out.shifts[at] = double{row.greatest} + log_sum / double{scale};
      out.losses[at] = double{scale} * (double{row.greatest} - double{cosine[first + i]}) + log_sum;
    }
  });
  return out;
}

/// The mean over rows of both directions.
inline double mean_loss(const RowSoftmax& by_image, const RowSoftmax& by_text) {
  double sum = 0.0;
  for (std::size_t i = 0; i < by_image.losses.size(); ++i) sum += by_image.losses[i] + by_text.losses[i];
  return computed(sum / (2.0 * static_cast<double>(by_image.losses.size())));
}

/// d loss / d a_i = scale / 2n sum_j (softmax over row i + softmax over column j - 2 [i = j]) b_j.
inline Matrix gradient_of_rows(const kernels::Context& context, const ConstMatrixRef& a, const ConstMatrixRef& b,
                               const kernels::PackedMatrix& packed_b, const std::vector<double>& row_shift,
                               const std::vector<double>& column_shift, float scale) {
  const index_t n = b.rows();
  const kernels::PackedMatrix columns_of_b = pack_columns(context, b);
  const std::vector<float> shift(column_shift.begin(), column_shift.end());
  Matrix out(a.rows(), a.cols());
  for_each_product_block(context, a, packed_b, [&](index_t first, index_t count, const float* cosines) {
    std::vector<float> weights(static_cast<std::size_t>(count * n));
    std::vector<float> by_column(static_cast<std::size_t>(n));
    const float factor = scale / (2.0f * static_cast<float>(n));
    for (index_t i = 0; i < count; ++i) {
      const float* cosine = cosines + i * n;
      float* weight = weights.data() + i * n;
      const auto own = static_cast<float>(row_shift[static_cast<std::size_t>(first + i)]);
      context.kernels->exponentials(cosine, n, scale, own, weight);
      for (index_t j = 0; j < n; ++j)
        by_column[static_cast<std::size_t>(j)] = cosine[j] - shift[static_cast<std::size_t>(j)];
      context.kernels->exponentials(by_column.data(), n, scale, 0.0f, by_column.data());
      weight[first + i] -= 2.0f;
      for (index_t j = 0; j < n; ++j) weight[j] = factor * (weight[j] + by_column[static_cast<std::size_t>(j)]);
    }
    const kernels::Epilogue epilogue = kernels::store_to(&out(first, 0), out.cols(), DataType::f32);
    kernels::gemm({context.kernels, {1}}, {weights.data(), n}, count, columns_of_b, epilogue);
  });
  return out;
}

}  // namespace detail

/// The same loss from unit rows, images [n, d] and texts [n, d], pair i in both rows i; logits = scale * cosine.
/// Computed in blocks: memory grows with n, not with n x n.  A bias would cancel.  scale: finite, at least 1e-30.
/// Throws Error invalid_argument for another scale, another width, no pairs, or other numbers of pictures and texts.
[[nodiscard]] inline double contrastive_loss(const Model& model, const ConstMatrixRef& images,
                                             const ConstMatrixRef& texts, float scale) {
  const FloatingPointScope scope;
  detail::check_pairs(images, texts, scale);
  const kernels::Context& context = model.context();
  const auto by_image = detail::row_softmax(context, images, detail::pack_rows(context, texts), scale);
  const auto by_text = detail::row_softmax(context, texts, detail::pack_rows(context, images), scale);
  return detail::mean_loss(by_image, by_text);
}

/// The loss and its derivatives by both matrices, as they stand (not through their normalisation), and by the scale.
/// Throws as contrastive_loss does.
[[nodiscard]] inline ContrastiveGradients contrastive_gradients(const Model& model, const ConstMatrixRef& images,
                                                                const ConstMatrixRef& texts, float scale) {
  const FloatingPointScope scope;
  detail::check_pairs(images, texts, scale);
  const kernels::Context& context = model.context();
  const kernels::PackedMatrix packed_images = detail::pack_rows(context, images);
  const kernels::PackedMatrix packed_texts = detail::pack_rows(context, texts);
  const auto by_image = detail::row_softmax(context, images, packed_texts, scale);
  const auto by_text = detail::row_softmax(context, texts, packed_images, scale);
  ContrastiveGradients out;
  out.loss = detail::mean_loss(by_image, by_text);
  out.images = detail::gradient_of_rows(context, images, texts, packed_texts, by_image.shifts, by_text.shifts, scale);
  out.texts = detail::gradient_of_rows(context, texts, images, packed_images, by_text.shifts, by_image.shifts, scale);
  // sum_i a_i . dL/da_i = s dL/ds, since both sum the same weights times the cosines.
  for (Eigen::Index i = 0; i < images.rows(); ++i) {
    for (Eigen::Index k = 0; k < images.cols(); ++k) {
      out.logit_scale += double{images(i, k)} * double{out.images(i, k)} / double{scale};
    }
  }
  out.logit_scale = computed(out.logit_scale);
  return out;
}

}  // namespace clipon::inline CLIPON_ABI

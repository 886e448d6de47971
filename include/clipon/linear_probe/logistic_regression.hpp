// Multinomial logistic regression with an L2 penalty, the linear probe of the paper.  Layer 6; called by
// linear_probe.hpp.  Radford et al. 2021, appendix A.3; scikit-learn's LogisticRegression(solver="lbfgs").
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "clipon/linear_probe/lbfgs.hpp"
#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI::detail {

/// Examples [n, d] with classes, and the function to minimise:
///   1/n sum_i -log softmax(W x_i + b)[y_i] + |W - W0|^2 / (2 C n)
/// which is scikit-learn's C sum_i (...) + |W|^2 / 2, divided by C n.  b is not penalised.
/// Products run in float on the model's kernels, sums over examples in double.
class LogisticRegression {
 public:
  /// prior [classes, d]: W0.
  LogisticRegression(const kernels::Context& context, const ConstMatrixRef& x, std::span<const std::size_t> classes,
                     std::size_t class_count, std::vector<float> prior)
      : context_(context),
        x_(x),
        classes_(classes),
        class_count_(static_cast<index_t>(class_count)),
        columns_of_x_(pack_columns(context, x)),
        prior_(std::move(prior)) {}

  [[nodiscard]] std::size_t parameters() const { return static_cast<std::size_t>(class_count_ * (x_.cols() + 1)); }

  /// Minimises from W = W0, b = 0; `point` becomes the minimum.  What it returns is the value of the function above.
  ///
  /// The loss curves W and b alike, at most by 1 (rows of x have unit length); the penalty curves W alone, by 1/(Cn).
  /// A small C would thus leave b, whose curvature is then the least by far, out of reach of the numbers' precision.
  /// What is minimised over is V with W = W0 + V / sqrt(1 + 1/(Cn)), curved as b is.
  LbfgsResult fit(double c, std::vector<double>& point, const LbfgsOptions& options) const {
    const double scale = 1.0 / std::sqrt(1.0 + strength(c));
    std::vector<double> scaled(parameters(), 0.0);  // V, then b
    const auto unscale = [&](const std::vector<double>& from) {
      point = from;
      for (std::size_t i = 0; i < prior_.size(); ++i) point[i] = double{prior_[i]} + scale * from[i];
    };
    const auto function = [&](const std::vector<double>& at, std::vector<double>& gradient) {
      unscale(at);
      const double value = evaluate(c, point, gradient);
      for (std::size_t i = 0; i < prior_.size(); ++i) gradient[i] *= scale;
      return value;
    };
    const LbfgsResult result = minimise_lbfgs(function, scaled, options);
    unscale(scaled);
    return result;
  }

  /// Layout of a point: W [classes, d], then b [classes].
  double evaluate(double c, const std::vector<double>& point, std::vector<double>& gradient) const {
    const index_t n = x_.rows();
    const index_t d = x_.cols();
    const index_t k = class_count_;
    const std::vector<float> values(point.begin(), point.end());
    const kernels::PackedMatrix weights(context_, {values.data(), nullptr, DataType::f32, k, d});
    std::vector<float> logits(static_cast<std::size_t>(n * k));
    kernels::Epilogue epilogue = kernels::store_to(logits.data(), k, DataType::f32);
    epilogue.bias = values.data() + k * d;
    kernels::gemm(context_, {x_.data(), x_.outerStride()}, n, weights, epilogue);

    // logits become (softmax - one-hot) / n, transposed for the product with the columns of x
    std::vector<double> losses(static_cast<std::size_t>(n));
    std::vector<float> residuals(static_cast<std::size_t>(k * n));  // [k, n]
    parallel::parallel_for(context_.threads, n, [&](index_t i) {
      float* row = logits.data() + i * k;
      const auto own = static_cast<index_t>(classes_[static_cast<std::size_t>(i)]);
      const auto total = context_.kernels->row_exp(row, k, 1.0f);
      losses[static_cast<std::size_t>(i)] = double{total.greatest} + std::log(double{total.sum}) - double{row[own]};
      context_.kernels->exponentials(row, k, 1.0f, total.greatest, row);
      const float share = 1.0f / (total.sum * static_cast<float>(n));
      for (index_t j = 0; j < k; ++j) residuals[static_cast<std::size_t>(j * n + i)] = row[j] * share;
      residuals[static_cast<std::size_t>(own * n + i)] -= 1.0f / static_cast<float>(n);
    });
    double value = 0.0;
    for (const double loss : losses) value += loss / static_cast<double>(n);

    std::vector<float> product(static_cast<std::size_t>(k * d));
    kernels::gemm(context_, {residuals.data(), n}, k, columns_of_x_,
                  kernels::store_to(product.data(), d, DataType::f32));
    const double penalty = strength(c);
    for (std::size_t i = 0; i < product.size(); ++i) {
      const double away = point[i] - double{prior_[i]};
      gradient[i] = double{product[i]} + penalty * away;
      value += 0.5 * penalty * away * away;
    }
    for (index_t j = 0; j < k; ++j) {
      double sum = 0.0;
      for (index_t i = 0; i < n; ++i) sum += double{residuals[static_cast<std::size_t>(j * n + i)]};
      gradient[static_cast<std::size_t>(k * d + j)] = sum;
    }
    return value;
  }

 private:
  [[nodiscard]] double strength(double c) const { return 1.0 / (c * static_cast<double>(x_.rows())); }

  kernels::Context context_;
  ConstMatrixRef x_;
  std::span<const std::size_t> classes_;
  index_t class_count_;
  kernels::PackedMatrix columns_of_x_;  // [d, n]
  std::vector<float> prior_;            // [classes, d]
};

}  // namespace clipon::inline CLIPON_ABI::detail

// A few labelled pictures added to a zero-shot classifier without training: each votes for its label by its nearness.
// Layer 6; part of linear_probe.hpp.  Zhang et al. 2022, Tip-Adapter, equations 3 to 5 (the training-free form).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "clipon/zero_shot.hpp"
#include "clipon/zero_shot/accuracy.hpp"

namespace clipon::inline CLIPON_ABI {

struct TipAdapterOptions {
  float alpha = 1.0f;  ///< finite; weight of the pictures' votes beside the zero-shot logits
  float beta = 5.5f;   ///< 0..1,000: how fast a vote falls with the distance: exp(-beta (1 - cosine))
};

class TipAdapter {
 public:
  /// shots [n, embed_dim], unit rows; classes [n]: each one's index among the classifier's labels.
  /// Throws Error invalid_argument; not_finite.
  TipAdapter(const Classifier& classifier, const ConstMatrixRef& shots, std::span<const std::size_t> classes,
             const TipAdapterOptions& options = {})
      : classifier_(classifier), classes_(classes.begin(), classes.end()), options_(options) {
    bool good =
        classes_.size() == static_cast<std::size_t>(shots.rows()) && shots.cols() == classifier.prototypes().cols();
    for (const std::size_t one : classes_) good = good && one < classifier.labels().size();
    if (!good) {
      throw Error(ErrorCode::invalid_argument,
                  "shots: expected rows of " + std::to_string(classifier.prototypes().cols()) +
                      ", each with the index of one of " + std::to_string(classifier.labels().size()) +
                      " labels, found " + std::to_string(shots.rows()) + " rows of " + std::to_string(shots.cols()) +
                      " and " + std::to_string(classes_.size()) + " indices");
    }
    constexpr float most = 1000.0f;  // where the rounding of a cosine of 1 changes a vote by 2e-4 of itself
    if (!is_finite(double{options.alpha}) || !(options.beta >= 0.0f && options.beta <= most)) {
      throw Error(ErrorCode::invalid_argument, "Tip-Adapter: expected a finite alpha and a beta of 0 to 1000, found " +
                                                   shown(double{options.alpha}) + " and " +
                                                   shown(double{options.beta}));
    }
    detail::check_finite_rows(shots, "shot");
    shots_ = detail::pack_rows(classifier.model().context(), shots);
  }

  /// [n, labels]: scale * cosine + alpha * sum over the label's shots of exp(-beta (1 - cosine with the shot)).
  /// Throws Error invalid_argument for another width.
  [[nodiscard]] Matrix logits(const ConstMatrixRef& embeddings) const {
    const FloatingPointScope scope;
    const Model& model = classifier_.model();
    const kernels::Context& context = model.context();
    const auto labels = static_cast<Eigen::Index>(classifier_.labels().size());  // the background follows them
    Matrix out = detail::product_of_rows(context, embeddings, classifier_.prototypes().topRows(labels));
    out *= model.logit_scale();
    detail::for_each_product_block(
        context, embeddings, shots_, [&](index_t first, index_t count, const float* nearness) {
          std::vector<float> votes(classes_.size());
          for (index_t i = 0; i < count; ++i) {
            context.kernels->exponentials(nearness + i * shots_.rows(), shots_.rows(), options_.beta, 1.0f,
                                          votes.data());
            for (std::size_t s = 0; s < votes.size(); ++s) {
              out(first + i, static_cast<Eigen::Index>(classes_[s])) += options_.alpha * votes[s];
            }
          }
        });
    return out;
  }

  /// The share of rows whose greatest logit is their class's.  Throws Error invalid_argument for another width, another
  /// number of classes.
  [[nodiscard]] double accuracy(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes) const {
    return detail::accuracy_of_logits(logits(embeddings), classes);
  }

 private:
  Classifier classifier_;
  kernels::PackedMatrix shots_;
  std::vector<std::size_t> classes_;
  TipAdapterOptions options_;
};

}  // namespace clipon::inline CLIPON_ABI

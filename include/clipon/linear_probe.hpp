// Few labelled pictures, much better than none: logistic regression on embeddings, and a cache of them.  PUBLIC,
// layer 6.  Radford et al. 2021, section 3.2 and appendix A.3 (linear probes).
//
// linear_probe/few_shot.hpp     choose_shots
// linear_probe/tip_adapter.hpp  TipAdapter: no training at all
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "clipon/linear_probe/few_shot.hpp"
#include "clipon/linear_probe/tip_adapter.hpp"
#include "clipon/zero_shot.hpp"

namespace clipon::inline CLIPON_ABI {

struct ProbeOptions {
  /// Inverse of the penalty, as scikit-learn's C.  31.6 is openai/CLIP's 0.316 for features of length about 10, brought
  /// to unit length: a penalty on W times the square of the length.
  double c = 31.6;
  /// A zero-shot classifier of the same model and labels: W starts at, and is drawn towards, its prototypes times the
  /// logit scale instead of zero; a label without examples keeps them.  Null: plain logistic regression.
  const Classifier* zero_shot = nullptr;
  int max_iterations = 1000;  ///< 0 or more; the paper's
  double gradient_tolerance =
      1e-6;  ///< 0 or more; of the mean loss, which is then within 1e-4 of its minimum up to C = 1000
};

/// What training left.
struct ProbeFit {
  double objective = 0.0;  ///< mean cross-entropy + |W - W0|^2 / (2 C n)
  int iterations = 0;
  bool converged = false;
};

/// A linear classifier of embeddings.  Immutable; any number of threads may use one.
class LinearProbe {
 public:
  /// embeddings [n, embed_dim] of unit length; classes [n]: each one's index in labels.
  /// Throws Error invalid_argument: nothing to learn from, another width, an index that is no label, a label without
  /// examples (unless options.zero_shot), a zero-shot classifier of other labels or another model, an option outside
  /// its range; not_finite.
  [[nodiscard]] static LinearProbe train(const Model& model, const ConstMatrixRef& embeddings,
                                         std::span<const std::size_t> classes, std::vector<std::string> labels,
                                         const ProbeOptions& options = {});

  [[nodiscard]] const std::vector<std::string>& labels() const { return labels_; }
  [[nodiscard]] const Matrix& weights() const { return weights_; }        ///< [labels, embed_dim]
  [[nodiscard]] const std::vector<float>& bias() const { return bias_; }  ///< [labels]
  [[nodiscard]] const ProbeFit& fit() const { return fit_; }  ///< of train(); a loaded probe has none, all zeros
  [[nodiscard]] double c() const { return c_; }

  /// W x + b: [n, labels].  Throws Error invalid_argument for another width, as the next two do.
  [[nodiscard]] Matrix logits(const ConstMatrixRef& embeddings) const;
  /// Best first, probabilities by softmax of the logits; cosine and margin have no meaning here and are 0.
  [[nodiscard]] std::vector<std::vector<Prediction>> classify_embeddings(const ConstMatrixRef& embeddings,
                                                                         std::size_t top = 0) const;
  /// The share of rows whose greatest logit is their class's.  Throws Error invalid_argument for another width, another
  /// number of classes.
  [[nodiscard]] double accuracy(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes) const;

  /// Labels, W and b, with the model's fingerprint.  Throws Error io, and limit_exceeded for what load would refuse: a
  /// label of over 1 MiB, over 2^20 of them, over 2 GiB in all.
  void save(const std::string& path) const;
  /// Throws Error: what a broken model file gives, and bad_value if a model of other weights made it.
  [[nodiscard]] static LinearProbe load(const Model& model, const std::string& path);

 private:
  explicit LinearProbe(const Model& model) : model_(model) {}

  Model model_;
  std::vector<std::string> labels_;
  Matrix weights_;
  std::vector<float> bias_;
  double c_ = 0.0;
  ProbeFit fit_;
};

/// One C that was tried, and the accuracy on the validation pictures.
struct SweepStep {
  double c = 0.0;
  double accuracy = 0.0;
};

/// Chooses C as the paper does: 1e-6, 1e-4 ... 1e6 first, then the interval around the best is halved until there are
/// eight steps a decade.  Of equal accuracies the C nearest to options.c wins, by their ratio: where all separate the
/// classes, the least would leave W too small to tell them apart.  `tried` (may be null) gets all steps in order of C.
/// Throws Error as LinearProbe::train does.
[[nodiscard]] double choose_c(const Model& model, const ConstMatrixRef& embeddings,
                              std::span<const std::size_t> classes, const ConstMatrixRef& validation,
                              std::span<const std::size_t> validation_classes, const std::vector<std::string>& labels,
                              const ProbeOptions& options = {}, std::vector<SweepStep>* tried = nullptr);

}  // namespace clipon::inline CLIPON_ABI

#if CLIPON_BODIES
#include "clipon/linear_probe/linear_probe.hpp"
#endif

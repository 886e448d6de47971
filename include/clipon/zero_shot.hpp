// Classification without training: labels become prototypes, a picture takes the nearest.  PUBLIC, layer 6.
// Radford et al. 2021, figure 1 (2) and (3), section 3.1.4 (prompt ensembles).
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "clipon/similarity.hpp"

namespace clipon::inline CLIPON_ABI {

/// Every {} of the template becomes the label.
inline std::string fill_template(const std::string& text, const std::string& label) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = text.find("{}"); found != std::string::npos; found = text.find("{}", at)) {
    out.append(text, at, found - at).append(label);
    at = found + 2;
  }
  return out.append(text, at);
}

/// Labels x templates -> prototypes.  Immutable after construction; any number of threads may use one.
class Classifier {
 public:
  /// Each label's prototype: its texts' unit vectors averaged, and that to unit length again.
  /// Throws Error invalid_argument: no labels, an empty label, no templates, a template without {}.
  Classifier(const Model& model, std::vector<std::string> labels, ClassifyOptions options = {})
      : model_(model), labels_(std::move(labels)), options_(std::move(options)) {
    check();
    const std::size_t ways = options_.templates.size();
    std::vector<std::string> texts;
    for (const std::string& label : labels_) {
      for (const std::string& text : options_.templates) texts.push_back(fill_template(text, label));
    }
    BatchOptions batch;
    batch.tokenize = options_.tokenize;
    const Matrix embedded = model_.embed_texts(texts, batch);
    prototypes_.resize(static_cast<Eigen::Index>(labels_.size()), model_.embed_dim());
    const Eigen::Index width = prototypes_.cols();
    const float* row = embedded.data();
    for (Eigen::Index label = 0; label < prototypes_.rows(); ++label) {
      float* prototype = &prototypes_(label, 0);
      std::fill_n(prototype, width, 0.0f);
      for (std::size_t way = 0; way < ways; ++way, row += width) {
        for (Eigen::Index i = 0; i < width; ++i) prototype[i] += row[i] / static_cast<float>(ways);
      }
      detail::finish_row(prototype, width, true);
    }
  }

  [[nodiscard]] const std::vector<std::string>& labels() const { return labels_; }
  [[nodiscard]] const Matrix& prototypes() const { return prototypes_; }  ///< [labels, embed_dim], unit rows

  /// Best first.
  [[nodiscard]] std::vector<Prediction> classify(const Image& image) const {
    return std::move(classify(std::span<const Image>(&image, 1)).front());
  }
  /// One list a picture.
  [[nodiscard]] std::vector<std::vector<Prediction>> classify(std::span<const Image> images) const {
    return classify_embeddings(model_.embed_images(images));
  }
  /// The same for embeddings [n, embed_dim] of unit length.
  [[nodiscard]] std::vector<std::vector<Prediction>> classify_embeddings(const ConstMatrixRef& embeddings) const {
    const Matrix cosines = similarity(model_, embeddings, prototypes_);
    std::vector<std::vector<Prediction>> all;
    for (Eigen::Index i = 0; i < cosines.rows(); ++i) all.push_back(rank(&cosines(i, 0)));
    return all;
  }

 private:
  void check() const {
    const auto fail = [](const std::string& why) { throw Error(ErrorCode::invalid_argument, why); };
    if (labels_.empty()) fail("labels: expected at least one, found none");
    for (const std::string& label : labels_) {
      if (label.find_first_not_of(" \t\r\n") == std::string::npos) fail("labels: expected words, found an empty label");
    }
    if (options_.templates.empty()) fail("templates: expected at least one, found none");
    for (const std::string& text : options_.templates) {
      if (text.find("{}") == std::string::npos) fail("template '" + text + "': expected {} where the label goes");
    }
    if (!(options_.temperature > 0.0f)) fail("temperature: expected a number above 0");
  }

  [[nodiscard]] std::vector<Prediction> rank(const float* cosines) const {
    const std::size_t n = labels_.size();
    std::vector<float> probabilities(n);
    const float scale = model_.logit_scale() / options_.temperature;  // a bias would cancel in the softmax
    for (std::size_t i = 0; i < n; ++i) probabilities[i] = scale * cosines[i];
    softmax(probabilities.data(), n);
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::size_t top = options_.top == 0 ? n : std::min(options_.top, n);
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
        [&](std::size_t a, std::size_t b) { return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b; });
    std::vector<Prediction> ranked;
    for (std::size_t i = 0; i < top; ++i) {
      ranked.push_back({labels_[order[i]], order[i], probabilities[order[i]], cosines[order[i]]});
    }
    return ranked;
  }

  Model model_;
  std::vector<std::string> labels_;
  ClassifyOptions options_;
  Matrix prototypes_;
};

inline std::vector<Prediction> Model::zero_shot_classify(const Image& image, const std::vector<std::string>& labels,
                                                         const ClassifyOptions& options) const {
  return Classifier(*this, labels, options).classify(image);
}

}  // namespace clipon::inline CLIPON_ABI

// The bodies of LinearProbe's calls.  Layer 6; part of clipon/linear_probe.hpp, include that.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "clipon/linear_probe.hpp"
#include "clipon/linear_probe/logistic_regression.hpp"
#include "clipon/zero_shot/accuracy.hpp"
#include "clipon/zero_shot/saved_file.hpp"

namespace clipon::inline CLIPON_ABI {

namespace detail {

// The classes that have examples, in order, and each example's index among them.
struct SeenClasses {
  std::vector<std::size_t> classes;   // [seen]
  std::vector<std::size_t> examples;  // [n]: indices of `classes`
};

inline SeenClasses seen_classes(std::span<const std::size_t> classes) {
  SeenClasses seen;
  seen.classes.assign(classes.begin(), classes.end());
  std::sort(seen.classes.begin(), seen.classes.end());
  seen.classes.erase(std::unique(seen.classes.begin(), seen.classes.end()), seen.classes.end());
  for (const std::size_t one : classes) {
    const auto at = std::lower_bound(seen.classes.begin(), seen.classes.end(), one);
    seen.examples.push_back(static_cast<std::size_t>(at - seen.classes.begin()));
  }
  return seen;
}

// W0 [labels, d]: the zero-shot classifier's logits, or zeros without one.
inline Matrix start_weights(const Model& model, const Classifier* zero_shot, const std::vector<std::string>& labels) {
  Matrix out(static_cast<Eigen::Index>(labels.size()), model.embed_dim());
  std::fill_n(out.data(), out.size(), 0.0f);
  if (zero_shot == nullptr) return out;
  if (zero_shot->labels() != labels || zero_shot->model().info().fingerprint != model.info().fingerprint) {
    throw Error(ErrorCode::invalid_argument, "zero-shot start: expected a classifier of the same labels and model");
  }
  const float* from = zero_shot->prototypes().data();  // labels first, then the background
  for (Eigen::Index i = 0; i < out.size(); ++i) out.data()[i] = model.logit_scale() * from[i];
  return out;
}

inline void check_examples(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes,
                           const std::vector<std::string>& labels) {
  if (labels.empty() || classes.empty() || classes.size() != static_cast<std::size_t>(embeddings.rows())) {
    throw Error(ErrorCode::invalid_argument, "examples: expected labels and a class for each embedding, found " +
                                                 std::to_string(labels.size()) + " labels, " +
                                                 std::to_string(embeddings.rows()) + " embeddings, " +
                                                 std::to_string(classes.size()) + " classes");
  }
  for (const std::size_t one : classes) {
    if (one >= labels.size()) {
      throw Error(ErrorCode::invalid_argument, "classes: expected indices of " + std::to_string(labels.size()) +
                                                   " labels, found " + std::to_string(one));
    }
  }
  check_finite_rows(embeddings, "embedding");
}

inline void check_c(double c) {
  if (!(c > 0.0) || !is_finite(1.0 / c)) {
    throw Error(ErrorCode::invalid_argument,
                "C: expected a number above 0 whose reciprocal is finite, found " + shown(c));
  }
}

}  // namespace detail

CLIPON_BODY LinearProbe LinearProbe::train(const Model& model, const ConstMatrixRef& embeddings,
                                           std::span<const std::size_t> classes, std::vector<std::string> labels,
                                           const ProbeOptions& options) {
  const FloatingPointScope scope;
  detail::check_examples(embeddings, classes, labels);
  if (embeddings.cols() != model.embed_dim()) {
    throw Error(ErrorCode::invalid_argument, "embeddings: expected a width of " + std::to_string(model.embed_dim()) +
                                                 ", found " + std::to_string(embeddings.cols()));
  }
  detail::check_c(options.c);
  if (options.max_iterations < 0 || !(options.gradient_tolerance >= 0.0)) {
    throw Error(ErrorCode::invalid_argument,
                "probe: expected iterations and a gradient's tolerance of 0 or more, found " +
                    std::to_string(options.max_iterations) + " and " + shown(options.gradient_tolerance));
  }
  Matrix weights = detail::start_weights(model, options.zero_shot, labels);
  const detail::SeenClasses seen = detail::seen_classes(classes);
  for (std::size_t label = 0; options.zero_shot == nullptr && label < labels.size(); ++label) {
    if (!std::binary_search(seen.classes.begin(), seen.classes.end(), label)) {
      throw Error(ErrorCode::invalid_argument,
                  "label '" + labels[label] + "': expected an example, or a zero-shot classifier to start from");
    }
  }
  // A class without examples has no part in the regression: its bias would fall for ever.  It stays at W0.
  const auto width = static_cast<std::size_t>(embeddings.cols());
  std::vector<float> prior;
  for (const std::size_t label : seen.classes) {
    const float* row = weights.data() + label * width;
    prior.insert(prior.end(), row, row + width);
  }
  LbfgsOptions how;
  how.max_iterations = options.max_iterations;
  how.gradient_tolerance = options.gradient_tolerance;
  std::vector<double> point;
  LbfgsResult result;
  model.context().in_a_team([&](const kernels::Context& context) {  // for thousands of short loops
    const detail::LogisticRegression regression(context, embeddings, seen.examples, seen.classes.size(),
                                                std::move(prior));
    result = regression.fit(options.c, point, how);
  });

  LinearProbe probe(model);
  probe.labels_ = std::move(labels);
  probe.c_ = options.c;
  probe.fit_ = {result.value, result.iterations, result.converged};
  probe.weights_ = std::move(weights);
  probe.bias_.assign(probe.labels_.size(), 0.0f);
  for (std::size_t s = 0; s < seen.classes.size(); ++s) {
    const std::size_t label = seen.classes[s];
    for (std::size_t i = 0; i < width; ++i)
      probe.weights_.data()[label * width + i] = static_cast<float>(point[s * width + i]);
    probe.bias_[label] = static_cast<float>(point[seen.classes.size() * width + s]);
  }
  return probe;
}

CLIPON_BODY Matrix LinearProbe::logits(const ConstMatrixRef& embeddings) const {
  return detail::product_of_rows(model_.context(), embeddings, weights_, bias_.data());
}

CLIPON_BODY std::vector<std::vector<Prediction>> LinearProbe::classify_embeddings(const ConstMatrixRef& embeddings,
                                                                                  std::size_t top) const {
  const FloatingPointScope scope;
  Matrix values = logits(embeddings);
  const auto n = static_cast<std::size_t>(values.cols());
  if (top == 0 || top > n) top = n;
  std::vector<std::vector<Prediction>> all(static_cast<std::size_t>(values.rows()));
  detail::BestOfRow best(n, top);
  for (std::size_t i = 0; i < all.size(); ++i) {
    float* row = &values(static_cast<Eigen::Index>(i), 0);
    if (!is_finite({row, n})) continue;
    // by logits: probabilities that differ by less than a float shows are not a tie
    best.find(*model_.context().kernels, row);
    softmax(row, n);
    for (std::size_t k = 0; k < top; ++k) {
      const auto label = static_cast<std::size_t>(best.indices()[k]);
      all[i].push_back({labels_[label], label, row[label], 0.0f, 0.0f, k == 0});
    }
  }
  return all;
}

CLIPON_BODY double LinearProbe::accuracy(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes) const {
  return detail::accuracy_of_logits(logits(embeddings), classes);
}

CLIPON_BODY void LinearProbe::save(const std::string& path) const {
  format::GgufWriter writer("clipon.linear_probe");
  detail::write_model_keys(writer, model_);
  writer.strings("clipon.labels", labels_);
  writer.f64("clipon.c", c_);
  const auto rows = static_cast<std::uint64_t>(weights_.rows());
  writer.tensor("weight", {rows, static_cast<std::uint64_t>(weights_.cols())},
                {weights_.data(), static_cast<std::size_t>(weights_.size())});
  writer.tensor("bias", {rows}, bias_);
  writer.write(path, detail::kMaxSavedBytes);
}

CLIPON_BODY LinearProbe LinearProbe::load(const Model& model, const std::string& path) {
  return detail::read_saved_file(model, path, "clipon.linear_probe", [&](const format::Gguf& file, auto& weights) {
    LinearProbe probe(model);
    probe.labels_ = file.metadata().strings("clipon.labels");
    probe.c_ = file.get<double>("clipon.c");
    detail::check_saved([&] { detail::check_c(probe.c_); });
    if (probe.labels_.empty()) throw Error(ErrorCode::bad_value, "labels: expected at least one, found none");
    const auto rows = static_cast<index_t>(probe.labels_.size());
    const std::vector<float> values = weights.get_vector("weight", {rows, model.embed_dim()});
    probe.bias_ = weights.get_vector("bias", {rows});
    weights.finish();
    probe.weights_.resize(rows, model.embed_dim());
    std::copy(values.begin(), values.end(), probe.weights_.data());
    return probe;
  });
}

CLIPON_BODY double choose_c(const Model& model, const ConstMatrixRef& embeddings, std::span<const std::size_t> classes,
                            const ConstMatrixRef& validation, std::span<const std::size_t> validation_classes,
                            const std::vector<std::string>& labels, const ProbeOptions& options,
                            std::vector<SweepStep>* tried) {
  detail::check_examples(validation, validation_classes, labels);
  detail::check_c(options.c);
  constexpr int end = 8 * 6;       // 1e-6 to 1e6
  std::map<int, double> accuracy;  // by eighths of a decade
  const auto c_at = [](int eighths) { return std::pow(10.0, eighths / 8.0); };
  const double usual = 8.0 * std::log10(options.c);
  const auto best = [&] {
    auto found = accuracy.begin();
    for (auto step = accuracy.begin(); step != accuracy.end(); ++step) {
      const bool nearer = std::abs(step->first - usual) < std::abs(found->first - usual);
      if (step->second > found->second || (step->second == found->second && nearer)) found = step;
    }
    return found->first;
  };
  const auto attempt = [&](int eighths) {
    if (accuracy.contains(eighths) || std::abs(eighths) > end) return;
    ProbeOptions how = options;
    how.c = c_at(eighths);
    const auto probe = LinearProbe::train(model, embeddings, classes, labels, how);
    accuracy[eighths] = probe.accuracy(validation, validation_classes);
  };
  for (int eighths = -end; eighths <= end; eighths += 16) attempt(eighths);
  for (int step = 8; step >= 1; step /= 2) {
    const int centre = best();
    attempt(centre - step);
    attempt(centre + step);
  }
  if (tried != nullptr) {
    tried->clear();
    for (const auto& [eighths, share] : accuracy) tried->push_back({c_at(eighths), share});
  }
  return c_at(best());
}

}  // namespace clipon::inline CLIPON_ABI

// The bodies of Classifier's calls.  Layer 6; part of zero_shot.hpp, include that.
#pragma once

#include "clipon/core/finish_row.hpp"
#include "clipon/zero_shot.hpp"
#include "clipon/zero_shot/accuracy.hpp"

namespace clipon::inline CLIPON_ABI {

CLIPON_BODY void Classifier::check_rules(const RejectRules& rules) {
  for (const float threshold : {rules.min_cosine, rules.min_margin, rules.min_background}) {
    if (!is_finite(double{threshold})) fail("reject: expected finite thresholds, found " + shown(double{threshold}));
  }
}

CLIPON_BODY void Classifier::check_options() const {
  if (options_.templates.empty()) fail("templates: expected at least one, found none");
  for (const std::string& text : options_.templates) {
    if (text.find("{}") == std::string::npos) fail("template '" + text + "': expected {} where the label goes");
  }
  constexpr float least = 1e-6f;  // the model's scale, e^4.6 for OpenAI's, over it is a logit that stays finite,
  constexpr float most = 1e30f;   // and one that stays a normal float
  if (!is_finite(double{options_.temperature}) || options_.temperature < least || options_.temperature > most)
    fail("temperature: expected a number of 1e-6 to 1e30, found " + shown(double{options_.temperature}));
  if (!is_finite(double{options_.multi_label_threshold}))
    fail("multi-label threshold: expected a finite number, found " + shown(double{options_.multi_label_threshold}));
  if (options_.multi_label && options_.background.empty())
    fail("multi-label: expected texts to weigh labels against, found none");
  check_rules(options_.reject);
}

CLIPON_BODY void Classifier::set_prototypes(std::vector<Label> labels, Matrix prototypes) {
  std::vector<std::string> names;
  names.reserve(labels.size());
  for (const Label& label : labels) names.push_back(label.name);
  packed_ = std::make_shared<const detail::PackedPrototypes>(model_.context(), prototypes);
  labels_ = std::move(labels);  // from here on nothing throws
  names_ = std::move(names);
  prototypes_ = std::move(prototypes);
}

CLIPON_BODY Matrix Classifier::embed(const std::vector<Label>& labels,
                                     const std::vector<std::string>& background) const {
  const auto is_blank = [&](const std::string& text) {
    try {
      return model_.tokenizer().encode(text, options_.tokenize).empty();
    } catch (const Error&) {
      return false;  // its own error, with all of the text, follows below
    }
  };
  std::vector<std::string> texts;
  std::vector<std::size_t> texts_of;  // how many of them make each prototype
  for (const Label& label : labels) {
    const std::size_t before = texts.size();
    const auto add = [&](const std::string& words, const char* what) {
      if (is_blank(words))
        fail("labels[" + std::to_string(texts_of.size()) + "]: expected words, found an empty " + what);
      for (const std::string& text : options_.templates) texts.push_back(fill_template(text, words));
    };
    add(label.name, "label");
    for (const std::string& synonym : label.synonyms) add(synonym, "synonym");
    texts_of.push_back(texts.size() - before);
  }
  for (std::size_t i = 0; i < background.size(); ++i) {
    if (is_blank(background[i])) fail("background[" + std::to_string(i) + "]: expected words, found an empty text");
  }
  texts.insert(texts.end(), background.begin(), background.end());
  texts_of.insert(texts_of.end(), background.size(), 1);

  BatchOptions batch;
  batch.tokenize = options_.tokenize;
  batch.progress = options_.progress;
  std::vector<ItemStatus> status;
  batch.status = &status;
  const Matrix embedded = model_.embed_texts(texts, batch);
  std::size_t text = 0;
  for (std::size_t i = 0; i < texts_of.size(); ++i) {
    for (const std::size_t end = text + texts_of[i]; text < end; ++text) {
      if (status[text].ok) continue;
      const std::string name =
          i < labels.size() ? "labels[" + std::to_string(i) : "background[" + std::to_string(i - labels.size());
      throw Error(status[text].code, name + "]: " + status[text].message);
    }
  }
  const FloatingPointScope scope;
  Matrix prototypes(static_cast<Eigen::Index>(texts_of.size()), model_.embed_dim());
  const Eigen::Index width = prototypes.cols();
  const float* row = embedded.data();
  for (Eigen::Index i = 0; i < prototypes.rows(); ++i) {
    float* prototype = &prototypes(i, 0);
    const std::size_t ways = texts_of[static_cast<std::size_t>(i)];
    std::fill_n(prototype, width, 0.0f);
    for (std::size_t way = 0; way < ways; ++way, row += width) {
      for (Eigen::Index k = 0; k < width; ++k) prototype[k] += row[k] / static_cast<float>(ways);
    }
    detail::finish_row(prototype, width, true);
  }
  return prototypes;
}

CLIPON_BODY void Classifier::add_labels(const std::vector<Label>& labels) {
  const Matrix more = embed(labels, {});
  std::vector<Label> all_labels = labels_;
  all_labels.insert(all_labels.end(), labels.begin(), labels.end());
  const auto before = static_cast<Eigen::Index>(labels_.size()) * prototypes_.cols();
  Matrix all(prototypes_.rows() + more.rows(), prototypes_.cols());
  float* end = std::copy_n(prototypes_.data(), before, all.data());
  end = std::copy_n(more.data(), more.size(), end);
  std::copy_n(prototypes_.data() + before, prototypes_.size() - before, end);
  set_prototypes(std::move(all_labels), std::move(all));
}

CLIPON_BODY void Classifier::remove_labels(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
      fail("label '" + name + "': expected one of this classifier's, found none of this name");
    }
  }
  std::vector<Label> kept;
  std::vector<float> rows;
  for (std::size_t i = 0; i < static_cast<std::size_t>(prototypes_.rows()); ++i) {
    const bool is_label = i < labels_.size();
    if (is_label && std::find(names.begin(), names.end(), names_[i]) != names.end()) continue;
    if (is_label) kept.push_back(labels_[i]);
    const float* row = prototypes_.data() + static_cast<Eigen::Index>(i) * prototypes_.cols();
    rows.insert(rows.end(), row, row + prototypes_.cols());
  }
  if (kept.empty()) fail("labels: expected to keep at least one, found all of them removed");
  Matrix prototypes(static_cast<Eigen::Index>(rows.size()) / prototypes_.cols(), prototypes_.cols());
  std::copy(rows.begin(), rows.end(), prototypes.data());
  set_prototypes(std::move(kept), std::move(prototypes));
}

CLIPON_BODY Ranking Classifier::rank(const ConstMatrixRef& embeddings, std::size_t top) const {
  detail::check_same_width(embeddings, prototypes_);
  const FloatingPointScope scope;
  if (top == 0) top = options_.top;
  detail::RankJob job;
  job.labels = labels_.size();
  job.top = top == 0 ? labels_.size() : std::min(top, labels_.size());
  job.scale = model_.logit_scale() / options_.temperature;  // a bias would cancel in the softmax
  job.multi_label = options_.multi_label;
  return detail::rank_rows(model_.context(), embeddings, *packed_, job);
}

CLIPON_BODY double Classifier::accuracy(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes) const {
  const Ranking ranking = rank(embeddings, 1);
  return detail::share_right(embeddings.rows(), classes, [&](std::size_t i) {
    return is_finite(double{ranking.cosine[i]}) ? static_cast<std::size_t>(ranking.index[i]) : detail::kNoAnswer;
  });
}

CLIPON_BODY bool Classifier::accepts(const Ranking& ranking, std::size_t row) const {
  const std::size_t best = row * ranking.top;
  const RejectRules& rules = options_.reject;
  const bool above =
      options_.background.empty() || ranking.cosine[best] - ranking.background[row] >= rules.min_background;
  return ranking.cosine[best] >= rules.min_cosine && ranking.margin[best] >= rules.min_margin && above;
}

CLIPON_BODY std::vector<std::vector<Prediction>> Classifier::classify_embeddings(const ConstMatrixRef& embeddings,
                                                                                 std::size_t top) const {
  const FloatingPointScope scope;
  const Ranking ranking = rank(embeddings, top);
  std::vector<std::vector<Prediction>> all(ranking.rows);
  for (std::size_t row = 0; row < ranking.rows; ++row) {
    if (!detail::is_finite_row(embeddings, static_cast<Eigen::Index>(row))) continue;
    const bool accepted = accepts(ranking, row);
    for (std::size_t k = 0; k < ranking.top; ++k) {
      const std::size_t at = row * ranking.top + k;
      const auto label = static_cast<std::size_t>(ranking.index[at]);
      const float probability = ranking.probability[at];
      const bool chosen = options_.multi_label ? probability >= options_.multi_label_threshold : k == 0 && accepted;
      all[row].push_back({names_[label], label, probability, ranking.cosine[at], ranking.margin[at], chosen});
    }
  }
  return all;
}

CLIPON_BODY std::vector<RuleReport> Classifier::calibrate(const ConstMatrixRef& embeddings,
                                                          std::span<const std::size_t> truth, double precision) {
  if (options_.multi_label) fail("calibrate: expected one label a picture, found a multi-label classifier");
  if (truth.empty()) fail("calibrate: expected at least one picture, found none");
  if (truth.size() != static_cast<std::size_t>(embeddings.rows())) {
    fail("calibrate: expected a label for each of " + std::to_string(embeddings.rows()) + " pictures, found " +
         std::to_string(truth.size()));
  }
  for (const std::size_t one : truth) {
    if (one >= labels_.size() && one != kUnknown) {
      fail("calibrate: expected indices of " + std::to_string(labels_.size()) + " labels or kUnknown, found " +
           std::to_string(one));
    }
  }
  if (!is_finite(precision) || precision <= 0.0 || precision > 1.0)
    fail("precision: expected a share above 0, at most 1, found " + shown(precision));
  const FloatingPointScope scope;
  const Ranking ranking = rank(embeddings, 1);
  std::vector<float> cosine;
  std::vector<float> margin;
  std::vector<float> above_background;
  std::vector<char> right;
  std::vector<char> known;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!detail::is_finite_row(embeddings, static_cast<Eigen::Index>(i))) continue;
    cosine.push_back(ranking.cosine[i]);
    margin.push_back(ranking.margin[i]);
    above_background.push_back(ranking.cosine[i] - ranking.background[i]);
    right.push_back(static_cast<std::size_t>(ranking.index[i]) == truth[i] ? 1 : 0);
    known.push_back(truth[i] != kUnknown ? 1 : 0);
  }
  if (right.empty()) fail("calibrate: expected an embedding of finite numbers, found none");
  std::vector<RuleReport> reports;
  const auto cut = [&](RejectRule rule, std::span<const float> scores) {
    reports.push_back(detail::cut_for_precision(rule, scores, right, known, precision));
  };
  cut(RejectRule::cosine, cosine);
  cut(RejectRule::margin, margin);
  if (!options_.background.empty()) cut(RejectRule::background, above_background);

  const auto best = std::max_element(reports.begin(), reports.end(),
                                     [](const RuleReport& a, const RuleReport& b) { return a.coverage < b.coverage; });
  best->chosen = true;
  RejectRules rules;
  rules.min_background = -3.0f;  // off: two cosines differ by 2 at most
  switch (best->rule) {
    case RejectRule::cosine:
      rules.min_cosine = best->threshold;
      break;
    case RejectRule::margin:
      rules.min_margin = best->threshold;
      break;
    case RejectRule::background:
      rules.min_background = best->threshold;
      break;
  }
  options_.reject = rules;
  return reports;
}

CLIPON_BODY std::vector<Prediction> Model::zero_shot_classify(const Image& image,
                                                              const std::vector<std::string>& labels,
                                                              const ClassifyOptions& options) const {
  return Classifier(*this, labels, options).classify(image);
}

}  // namespace clipon::inline CLIPON_ABI

// Everything that one run of `clipon evaluate` found out, and its forms: a table, JSON, CSV, a page.
#pragma once

#include <clipon/clipon.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "evaluate/dataset.hpp"
#include "evaluate/metrics.hpp"
#include "settings.hpp"

namespace cli {

struct TemplateScore {
  std::string text;  // the template; empty: all of them together
  Accuracy accuracy;
};

struct ShiftScore {
  std::string kind;
  std::vector<Accuracy> strengths;  // [5]
};

struct Evaluation {
  std::string source;  // as it was given
  Dataset data;
  bool by_group = false;
  std::vector<std::string> templates;
  std::vector<Outcome> outcomes;  // [items]
  Metrics metrics;
  double seconds = 0.0;  // reading, decoding and embedding all pictures once
  std::vector<TemplateScore> template_scores;
  std::vector<ShiftScore> shifts;

  [[nodiscard]] double pictures_per_second() const {
    return seconds > 0.0 ? static_cast<double>(metrics.all.pictures) / seconds : 0.0;
  }
};

void print_table(const clipon::Model& model, const Evaluation& e);
nlohmann::ordered_json to_json(const clipon::Model& model, const Evaluation& e);
/// A line a picture: path, label, group, predicted, confidence, rank, cosines.
std::string predictions_csv(const Evaluation& e);
/// The confusion matrix: true labels down, predicted labels across.
std::string confusion_csv(const Evaluation& e);
/// A self-contained page with charts and pictures.
std::string report_page(const clipon::Model& model, const Settings& settings, const Evaluation& e);

/// The labels that were predicted most often for a group, with their shares.
std::vector<std::pair<std::size_t, double>> label_rates(const Evaluation& e, std::size_t group, std::size_t n);

}  // namespace cli

// The options that make a classifier: labels, templates, what to do with pictures of none of the labels.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "settings.hpp"

namespace cli {

/// `templates`, then those of a set: built in, by name, or a file with one a line.  {} where there are none.
std::vector<std::string> with_template_set(std::vector<std::string> templates, const std::string& set);

/// An option that may be given again takes one word each time: "--labels a,b cat.png" names a picture.
CLI::Option* one_word(CLI::Option* option);

struct ClassifierOptions {
  std::vector<std::string> labels;  // and background: as given, each one or more between commas
  std::string labels_file;
  std::vector<std::string> templates;
  std::string template_set;  // none, plain, ensemble, or a file
  std::vector<std::string> background;
  std::optional<float> temperature;
  bool multi_label = false;
  std::optional<float> threshold;
  std::optional<float> min_cosine;
  std::optional<float> min_margin;
  std::optional<float> min_background;

  void add_labels_to(CLI::App& command);
  void add_prompts_to(CLI::App& command);
  void add_decisions_to(CLI::App& command);
  /// The first option given that a saved classifier has settled already; null: none.
  [[nodiscard]] const char* fixed_by_a_classifier() const;
  /// Throws UsageError without labels.
  [[nodiscard]] std::vector<clipon::Label> read_labels() const;
  [[nodiscard]] clipon::ClassifyOptions classify_options(const Settings& settings) const;
  /// One of the --min-... was given.
  [[nodiscard]] bool has_rule() const { return min_cosine || min_margin || min_background; }
  /// Throws UsageError for an option that would change nothing.
  void check_decisions(bool is_multi_label, bool has_background) const;
  /// Those of `rules` that were given on the command line replaced.
  [[nodiscard]] clipon::RejectRules reject_rules(clipon::RejectRules rules) const;
};

}  // namespace cli

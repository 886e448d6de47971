#include "classifier_options.hpp"

#include <algorithm>
#include <clipon/format/read_lines.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "inputs.hpp"

namespace cli {

namespace {

// ["cat", "dog"], or {"cat": ["kitten"], "dog": []}: a label's synonyms.
std::vector<clipon::Label> read_json_labels(const std::string& path) {
  const auto json = read_json(path, 1u << 30, "labels");
  std::vector<clipon::Label> labels;
  try {
    if (json.is_array()) return clipon::to_labels(json.get<std::vector<std::string>>());
    if (json.is_object()) {
      for (const auto& [name, synonyms] : json.items()) {
        labels.push_back({name, synonyms.get<std::vector<std::string>>()});
      }
      return labels;
    }
  } catch (const nlohmann::json::exception&) {  // an element of another type
  }
  throw UsageError(path + ": expected a JSON array of labels, or an object of labels and arrays of their synonyms");
}

// Empty parts stay, to be refused where they stand: CLI11 drops those without a blank.
std::vector<std::string> between_commas(const std::vector<std::string>& words) {
  std::vector<std::string> parts;
  for (const std::string& word : words) {
    for (std::size_t at = 0; at <= word.size();) {
      const std::size_t end = std::min(word.find(',', at), word.size());
      parts.emplace_back(clipon::format::trimmed(std::string_view(word).substr(at, end - at)));  // "a, b"
      at = end + 1;
    }
  }
  return parts;
}

}  // namespace

std::vector<std::string> with_template_set(std::vector<std::string> templates, const std::string& set) {
  const bool built_in = set == "none" || set == "plain" || set == "ensemble";
  std::error_code error;
  if (!set.empty() && !built_in && !std::filesystem::exists(set, error)) {
    throw UsageError("--templates: expected none, plain, ensemble or a file with one a line, found '" + set +
                     "' (--template takes one itself)");
  }
  if (!set.empty()) {
    const auto more = built_in ? clipon::template_set(set) : clipon::read_templates(set);
    templates.insert(templates.end(), more.begin(), more.end());
  }
  if (templates.empty()) templates.emplace_back("{}");
  return templates;
}

CLI::Option* one_word(CLI::Option* option) {
  return option->allow_extra_args(false);
}

void ClassifierOptions::add_labels_to(CLI::App& command) {
  one_word(command.add_option("--labels", labels, "Labels, separated by commas"));
  command.add_option("--labels-file", labels_file,
                     "Labels, one a line, synonyms after it separated by tabs; or .json: an array, or an object of "
                     "labels and arrays of synonyms");
}

void ClassifierOptions::add_prompts_to(CLI::App& command) {
  one_word(command.add_option("--template", templates,
                              "A sentence with {} for the label; several are averaged (default: {})"));
  command.add_option("--templates", template_set, "A set of them: none, plain, ensemble, or a file with one a line");
}

void ClassifierOptions::add_decisions_to(CLI::App& command) {
  one_word(command.add_option("--background", background, "Texts that stand for anything else, separated by commas"));
  command.add_option("--temperature", temperature, "Divides the logits: above 1 is less sure")
      ->check(number_in(1e-6, 1e6))
      ->default_str("1");
  command.add_flag("--multi-label", multi_label, "Each label for itself, weighed against the background");
  command.add_option("--threshold", threshold, "With --multi-label: the probability that chooses a label")
      ->check(number_in(0.0, 1.0))
      ->default_str("0.5");
  command.add_option("--min-cosine", min_cosine, "Unknown if the best label's cosine is below")
      ->check(number_in(-1.0, 1.0));
  command.add_option("--min-margin", min_margin, "Unknown if the best label's cosine is not this much above the next")
      ->check(number_in(0.0, 2.0));
  command
      .add_option("--min-background", min_background,
                  "Unknown if the best label's cosine is not this much above the background's")
      ->check(number_in(-2.0, 2.0));
}

const char* ClassifierOptions::fixed_by_a_classifier() const {
  const std::pair<const char*, bool> given[] = {
      {"--labels", !labels.empty()},         {"--labels-file", !labels_file.empty()},
      {"--template", !templates.empty()},    {"--templates", !template_set.empty()},
      {"--background", !background.empty()}, {"--temperature", temperature.has_value()},
      {"--multi-label", multi_label},        {"--threshold", threshold.has_value()},
  };
  for (const auto& [name, is_given] : given) {
    if (is_given) return name;
  }
  return nullptr;
}

std::vector<clipon::Label> ClassifierOptions::read_labels() const {
  std::vector<clipon::Label> all = clipon::to_labels(between_commas(labels));
  if (!labels_file.empty()) {
    const auto more =
        is_named_like_json(labels_file) ? read_json_labels(labels_file) : clipon::read_labels(labels_file);
    all.insert(all.end(), more.begin(), more.end());
  }
  if (all.empty()) throw UsageError("labels: expected at least one (--labels a,b,c or --labels-file FILE)");
  return all;
}

clipon::ClassifyOptions ClassifierOptions::classify_options(const Settings& settings) const {
  clipon::ClassifyOptions options;
  options.tokenize = tokenize_options(settings);
  options.background = between_commas(background);
  options.temperature = temperature.value_or(options.temperature);
  options.multi_label = multi_label;
  options.multi_label_threshold = threshold.value_or(options.multi_label_threshold);
  options.reject = reject_rules({});
  options.templates = with_template_set(templates, template_set);
  return options;
}

void ClassifierOptions::check_decisions(bool is_multi_label, bool has_background) const {
  const char* rule = min_cosine       ? "--min-cosine"
                     : min_margin     ? "--min-margin"
                     : min_background ? "--min-background"
                                      : nullptr;
  if (is_multi_label && rule != nullptr) {
    throw UsageError(std::string(rule) + ": expected without --multi-label, whose --threshold decides");
  }
  if (min_background && !has_background) throw UsageError("--min-background: expected --background beside it");
  if (!is_multi_label && threshold) throw UsageError("--threshold: expected --multi-label beside it");
}

clipon::RejectRules ClassifierOptions::reject_rules(clipon::RejectRules rules) const {
  rules.min_cosine = min_cosine.value_or(rules.min_cosine);
  rules.min_margin = min_margin.value_or(rules.min_margin);
  rules.min_background = min_background.value_or(rules.min_background);
  return rules;
}

}  // namespace cli

// clipon evaluate: how often a model is right about labelled pictures, and about which it is wrong.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <span>

#include "classifier_options.hpp"
#include "clipon/parallel/parallel_for.hpp"
#include "commands/commands.hpp"
#include "evaluate/corrupt.hpp"
#include "evaluate/evaluation.hpp"
#include "evaluate/pictures.hpp"
#include "inputs.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct EvaluateOptions {
  DatasetOptions data;
  std::vector<std::string> templates;
  std::string template_set;
  bool compare_templates = false;
  std::vector<std::string> shift;
  std::string report;
  std::string predictions;
  std::string confusion;
};

clipon::Matrix prototypes(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& labels,
                          const std::vector<std::string>& templates) {
  clipon::ClassifyOptions how;
  how.templates = templates;
  how.tokenize = tokenize_options(settings);
  return clipon::Classifier(model, labels, how).prototypes();
}

// The portion's pictures made worse in each way that was asked for.
void add_shifts(const clipon::Model& model, const clipon::Matrix& classes, const std::vector<Pixels>& pictures,
                const std::vector<std::size_t>& truth, std::size_t first, Evaluation& e) {
  for (ShiftScore& shift : e.shifts) {
    for (int strength = 1; strength <= kStrengths; ++strength) {
      std::vector<Pixels> worse(pictures.size());
      const auto n = static_cast<std::ptrdiff_t>(pictures.size());
      clipon::parallel::parallel_for({model.threads()}, n, [&](std::ptrdiff_t i) {
        const auto& picture = pictures[static_cast<std::size_t>(i)];
        const auto seed = static_cast<unsigned>(first + static_cast<std::size_t>(i));
        if (!picture.empty()) {
          worse[static_cast<std::size_t>(i)] = corrupt(picture, model.image_size(), shift.kind, strength, seed);
        }
      });
      for (const Outcome& outcome : classify(model, embed_pixels(model, worse), classes, truth)) {
        if (outcome.ok) shift.strengths[static_cast<std::size_t>(strength - 1)].add(outcome);
      }
    }
  }
}

void compare_templates(const clipon::Model& model, const Settings& settings, const clipon::Matrix& rows,
                       Evaluation& e) {
  const auto truth = labels_of(e.data.items);
  for (const std::string& text : e.templates) {
    TemplateScore score{text, {}};
    for (const Outcome& o : classify(model, rows, prototypes(model, settings, e.data.labels, {text}), truth)) {
      if (o.ok) score.accuracy.add(o);
    }
    e.template_scores.push_back(score);
  }
  e.template_scores.push_back({"", e.metrics.all});
}

// Whether what is written to one replaces what was written to the other; a device or pipe takes both.
bool is_one_file(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (a.empty() || b.empty()) return false;
  if (fs::exists(a, error)) return fs::is_regular_file(a, error) && fs::equivalent(a, b, error);
  const auto full = [&](const std::string& path) { return fs::weakly_canonical(fs::absolute(path, error), error); };
  return full(a) == full(b) && !error;
}

void expect_different_outputs(const EvaluateOptions& options) {
  const std::pair<const char*, const std::string*> outputs[] = {
      {"--report", &options.report}, {"--predictions", &options.predictions}, {"--confusion", &options.confusion}};
  for (std::size_t i = 0; i < std::size(outputs); ++i) {
    for (std::size_t j = i + 1; j < std::size(outputs); ++j) {
      if (!is_one_file(*outputs[i].second, *outputs[j].second)) continue;
      std::string message(outputs[i].first);
      message.append(", ").append(outputs[j].first).append(": expected different files, found ");
      throw UsageError(message.append(*outputs[i].second).append(" for both"));
    }
  }
}

ExitCode run_evaluate(const EvaluateOptions& options, const Settings& settings) {
  Evaluation e;
  e.source = options.data.paths.front();
  e.data = open_dataset(options.data);
  e.by_group = !options.data.group.empty();
  e.templates = with_template_set(options.templates, options.template_set);
  const bool every = std::find(options.shift.begin(), options.shift.end(), "all") != options.shift.end();
  for (const std::string& kind : every ? kCorruptions : options.shift) {
    const auto is_it = [&](const ShiftScore& other) { return other.kind == kind; };
    if (std::none_of(e.shifts.begin(), e.shifts.end(), is_it)) {
      e.shifts.push_back({kind, std::vector<Accuracy>(kStrengths)});
    }
  }
  expect_different_outputs(options);
  for (const auto* out : {&options.report, &options.predictions, &options.confusion}) expect_writable(*out);
  const clipon::Model model = load_model(settings);
  const clipon::Matrix classes = prototypes(model, settings, e.data.labels, e.templates);
  const std::span<const Item> items = e.data.items;
  const EmbeddedItems embedded = embed_items(model, settings, items, [&](std::size_t first, const auto& pictures) {
    add_shifts(model, classes, pictures, labels_of(items.subspan(first, pictures.size())), first, e);
  });
  e.seconds = embedded.seconds;
  e.outcomes = classify(model, embedded.rows, classes, labels_of(items));
  e.metrics = measure(e.data, e.outcomes);
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const Item& item : items) names.push_back(item.name);
  if (e.metrics.all.pictures == 0) {
    const std::string failed = std::to_string(report_failures(names, embedded.status));
    throw UsageError(e.source + ": expected pictures, found none of " + failed + " that could be read");
  }
  if (options.compare_templates) compare_templates(model, settings, embedded.rows, e);
  if (!options.predictions.empty()) write_text(options.predictions, predictions_csv(e));
  if (!options.confusion.empty()) write_text(options.confusion, confusion_csv(e));
  if (!options.report.empty()) write_text(options.report, report_page(model, settings, e));
  if (settings.json) {
    std::cout << json_text(to_json(model, e));
  } else {
    print_table(model, e);
  }
  return report_failures(names, embedded.status) == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_evaluate(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("evaluate", "Accuracy on labelled pictures, and what is confused with what");
  auto options = std::make_shared<EvaluateOptions>();
  command->add_option("data", options->data.paths, "A folder with a folder a class, a .csv, or WebDataset .tar files")
      ->required();
  command->add_option("--labels-file", options->data.labels_file,
                      "Labels in the order of the classes, or a .json object of folder names to labels");
  command->add_option("--group", options->data.group, "Column of the .csv (key of the .json in a .tar) to compare by");
  one_word(
      command->add_option("--template", options->templates, "A sentence with {} for the label; several are averaged"));
  command->add_option("--templates,--templates-file", options->template_set,
                      "A set of them: none, plain, ensemble, or a file with one a line");
  command->add_flag("--compare-templates", options->compare_templates, "Also each template alone");
  auto kinds = kCorruptions;
  kinds.emplace_back("all");
  one_word(
      command->add_option("--shift", options->shift, "Also pictures made worse: " + CLI::detail::join(kinds, ", ")))
      ->delimiter(',')
      ->check(CLI::IsMember(kinds));
  command->add_option("--report", options->report, "Write a page with charts and pictures (.html)")->check(file_name());
  command->add_option("--predictions", options->predictions, "Write what each picture got (.csv)")->check(file_name());
  command->add_option("--confusion", options->confusion, "Write the confusion matrix (.csv)")->check(file_name());
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_evaluate(*options, settings); }; });
}

}  // namespace cli

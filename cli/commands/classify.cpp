// clipon classify: pictures against the user's labels.
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "classifier_options.hpp"
#include "commands/commands.hpp"
#include "commands/embed_all.hpp"
#include "inputs.hpp"
#include "outputs.hpp"
#include "probe/labelled.hpp"
#include "ranked_output.hpp"

namespace cli {

namespace {

struct ClassifyOptions {
  std::vector<std::string> pictures;
  ClassifierOptions classifier;
  std::string load;
  std::string save;
  std::string calibrate;
  double target_precision = 0.95;
  std::size_t top = 3;
};

// No error: two classes of OpenAI's list for ImageNet have the name of another.
void warn_of_equal_labels(const std::vector<clipon::Label>& labels) {
  std::map<std::string, std::size_t> counts;
  std::size_t repeated = 0;
  std::string first;
  for (const clipon::Label& label : labels) {
    if (++counts[label.name] != 2) continue;
    if (repeated++ == 0) first = clipon::one_line(label.name);
  }
  if (repeated == 0) return;
  const std::string more = repeated == 1 ? "" : " and " + std::to_string(repeated - 1) + " more";
  std::fprintf(stderr, "clipon: labels: '%s'%s %s there more than once: equal ones share a probability\n",
               first.c_str(), more.c_str(), repeated == 1 ? "stands" : "stand");
}

clipon::Classifier make_classifier(const ClassifyOptions& options, const Settings& settings,
                                   const clipon::Model& model) {
  if (!options.load.empty()) {
    if (const char* other = options.classifier.fixed_by_a_classifier()) {
      throw UsageError(std::string("classify: --classifier brings its own, so expected no ") + other);
    }
    auto classifier = clipon::Classifier::load(model, options.load);
    const auto& saved = classifier.options();
    options.classifier.check_decisions(saved.multi_label, !saved.background.empty());
    classifier.set_reject(options.classifier.reject_rules(saved.reject));
    return classifier;
  }
  options.classifier.check_decisions(options.classifier.multi_label, !options.classifier.background.empty());
  const auto labels = options.classifier.read_labels();
  clipon::ClassifyOptions how = options.classifier.classify_options(settings);
  Progress progress("texts");
  how.progress = [&](std::size_t done, std::size_t total) { progress.show(done, total); };
  clipon::Classifier classifier(model, labels, how);
  progress.hide();
  warn_of_equal_labels(labels);
  return classifier;
}

struct Calibration {
  nlohmann::ordered_json rules;
  std::size_t failed = 0;  // pictures
};

// A threshold that accepts nothing is right about nothing, so there is no share.
nlohmann::ordered_json report_json(const clipon::RuleReport& report) {
  nlohmann::ordered_json json = {{"rule", clipon::to_string(report.rule)},
                                 {"threshold", report.threshold},
                                 {"precision", nullptr},
                                 {"coverage", report.coverage},
                                 {"auroc_right", report.auroc_right},
                                 {"auroc_known", report.auroc_known},
                                 {"chosen", report.chosen}};
  if (report.coverage > 0.0) json["precision"] = report.precision;
  return json;
}

void print_report(const clipon::RuleReport& report) {
  char right[16] = "    -";
  if (report.coverage > 0.0) std::snprintf(right, sizeof right, "%5.1f", 100.0 * report.precision);
  std::printf(
      "by %-10s from %7.4f on: right %s %%, accepts %5.1f %%; AUROC %.3f of right answers, %.3f of known pictures%s\n",
      clipon::to_string(report.rule), static_cast<double>(report.threshold), right, 100.0 * report.coverage,
      report.auroc_right, report.auroc_known, report.chosen ? "; chosen" : "");
}

// Sets the thresholds from labelled pictures; labels that the classifier lacks count as unknown.
Calibration calibrate(clipon::Classifier& classifier, const ClassifyOptions& options, const Settings& settings) {
  const Dataset data = read_labelled(options.calibrate);
  const auto classes = classes_among(data, classifier.labels());
  const auto examples = embed_examples(classifier.model(), settings, data, options.calibrate, classes);
  nlohmann::ordered_json rules = nlohmann::ordered_json::array();
  bool accepts_any = false;
  for (const auto& report : classifier.calibrate(examples.rows, examples.classes, options.target_precision)) {
    rules.push_back(report_json(report));
    if (!settings.json) print_report(report);
    accepts_any = accepts_any || report.coverage > 0.0;
  }
  if (!accepts_any) {
    std::fprintf(
        stderr,
        "clipon: --calibrate: no threshold of any rule makes %g %% of the accepted answers right: every answer "
        "is unknown\n",
        100.0 * options.target_precision);
  }
  return {rules, examples.failed};
}

ExitCode run_classify(const ClassifyOptions& options, const Settings& settings) {
  if (options.pictures.empty() && options.save.empty() && options.calibrate.empty()) {
    throw UsageError("classify: expected pictures, --save FILE or --calibrate DATA");
  }
  const auto paths = options.pictures.empty() ? std::vector<std::string>() : expand_pictures(options.pictures);
  expect_writable(options.save);
  const clipon::Model model = load_model(settings);
  clipon::Classifier classifier = make_classifier(options, settings, model);
  Calibration calibration;
  if (!options.calibrate.empty()) calibration = calibrate(classifier, options, settings);
  if (!options.save.empty()) classifier.save(options.save);

  const Embedded embedded = embed_pictures(model, settings, paths, true);
  const std::size_t top = classifier.options().multi_label ? 0 : options.top;  // any of them may be chosen
  const Ranked ranked = classifier.classify_embeddings(embedded.rows, top);
  if (settings.json) {
    nlohmann::ordered_json out = {{"model", model.info().name},
                                  {"precision", to_string(model.precision())},
                                  {"isa", to_string(model.isa())},
                                  {"labels", classifier.labels()}};
    if (!calibration.rules.is_null()) out["calibration"] = calibration.rules;
    out["results"] = ranked_json(paths, embedded, ranked, options.top, true);
    std::cout << json_text(out);
  } else {
    const auto& how = classifier.options();
    const bool decisions = how.multi_label || !how.background.empty() || how.reject.min_cosine > -1.0f ||
                           how.reject.min_margin > 0.0f || options.classifier.has_rule();
    print_ranked(paths, embedded, ranked, options.top, decisions);
  }
  const std::size_t failed = calibration.failed + report_failures(paths, embedded.status);
  return failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_classify(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("classify", "Rank labels of your choice for pictures");
  auto options = std::make_shared<ClassifyOptions>();
  command->add_option("pictures", options->pictures, "Picture files, or folders of them");
  options->classifier.add_labels_to(*command);
  options->classifier.add_prompts_to(*command);
  options->classifier.add_decisions_to(*command);
  command->add_option("--top", options->top, "Labels to show for each picture; 0: all")
      ->transform(whole_number_from(0))
      ->capture_default_str();
  command->add_option("--classifier", options->load, "A classifier saved by --save, instead of labels");
  command->add_option("--save", options->save, "Write the classifier, for this model, to a file")->check(file_name());
  auto* calibrate = command->add_option(
      "--calibrate", options->calibrate,
      "Labelled pictures (a folder a class, .csv or .tar) that set when an answer is unknown: by one "
      "rule, which takes the place of all others, the background's among them");
  for (const char* rule : {"--min-cosine", "--min-margin", "--min-background"}) {
    calibrate->excludes(command->get_option(rule));
  }
  command
      ->add_option("--target-precision", options->target_precision,
                   "The share of accepted answers that --calibrate wants right")
      ->needs(calibrate)
      ->check(number_in(1e-6, 1.0))
      ->capture_default_str();
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_classify(*options, settings); }; });
}

}  // namespace cli

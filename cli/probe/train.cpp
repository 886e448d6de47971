// clipon probe train: labelled pictures to a probe file.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "classifier_options.hpp"
#include "outputs.hpp"
#include "probe/labelled.hpp"
#include "probe/probe.hpp"

namespace cli {

namespace {

struct ProbeTrainOptions {
  std::string data;
  std::string validation;
  double holdout = 0.2;
  std::optional<double> c;
  bool zero_shot = false;
  ClassifierOptions classifier;
  std::string out;
};

struct Trained {
  clipon::LinearProbe probe;
  std::vector<clipon::SweepStep> tried;
};

// C by the sweep on validation pictures, then a fit on all of them, as the paper does; or a fit with the C given.
Trained train(const ProbeTrainOptions& options, const clipon::Model& model, const std::vector<std::string>& labels,
              const Examples& all, const Examples& validation, clipon::ProbeOptions how) {
  if (options.c) {
    how.c = *options.c;
    return {clipon::LinearProbe::train(model, all.rows, all.classes, labels, how), {}};
  }
  Examples kept = all;
  Examples held = validation;
  if (options.validation.empty()) {
    const Split split = hold_out(all.classes, labels.size(), options.holdout, 0);
    kept = all.part(split.kept);
    held = all.part(split.held);
    if (held.names.empty()) {
      throw UsageError(options.data +
                       ": expected a class with two pictures or more to choose C by, found none (--validation gives "
                       "others, --c the number itself)");
    }
  }
  std::vector<clipon::SweepStep> tried;
  how.c = clipon::choose_c(model, kept.rows, kept.classes, held.rows, held.classes, labels, how, &tried);
  clipon::Matrix rows(kept.rows.rows() + held.rows.rows(), kept.rows.cols());
  rows.topRows(kept.rows.rows()) = kept.rows;
  rows.bottomRows(held.rows.rows()) = held.rows;
  std::vector<std::size_t> classes = kept.classes;
  classes.insert(classes.end(), held.classes.begin(), held.classes.end());
  return {clipon::LinearProbe::train(model, rows, classes, labels, how), tried};
}

ExitCode run_probe_train(const ProbeTrainOptions& options, const Settings& settings) {
  const ClassifierOptions& prompts = options.classifier;
  if (!options.zero_shot && (!prompts.templates.empty() || !prompts.template_set.empty())) {
    throw UsageError("--template, --templates: expected --zero-shot beside them");
  }
  const Dataset data = read_labelled(options.data);
  expect_writable(options.out);
  const clipon::Model model = load_model(settings);
  const Examples all = embed_examples(model, settings, data, options.data, labels_of(data.items));
  Examples validation;
  if (!options.validation.empty()) {
    const Dataset more = read_labelled(options.validation);
    const auto classes = known_classes(more, options.validation, data, options.data);
    validation = embed_examples(model, settings, more, options.validation, classes);
  }
  clipon::ProbeOptions how;
  std::optional<clipon::Classifier> zero_shot;
  if (options.zero_shot) zero_shot.emplace(model, data.labels, options.classifier.classify_options(settings));
  if (zero_shot) how.zero_shot = &*zero_shot;
  const Trained trained = train(options, model, data.labels, all, validation, how);
  trained.probe.save(options.out);

  const double accuracy = trained.probe.accuracy(all.rows, all.classes);
  const auto& fit = trained.probe.fit();
  if (settings.json) {
    nlohmann::ordered_json out = {{"out", options.out},
                                  {"model", model.info().name},
                                  {"labels", data.labels},
                                  {"pictures", all.names.size()},
                                  {"failed", all.failed + validation.failed},
                                  {"c", trained.probe.c()},
                                  {"objective", fit.objective},
                                  {"iterations", fit.iterations},
                                  {"converged", fit.converged},
                                  {"training_accuracy", accuracy}};
    out["sweep"] = nlohmann::ordered_json::array();
    for (const auto& step : trained.tried) out["sweep"].push_back({{"c", step.c}, {"accuracy", step.accuracy}});
    std::cout << json_text(out);
  } else {
    for (const auto& step : trained.tried) {
      std::printf("C %-9.3g %5.1f %% of the validation pictures\n", step.c, 100.0 * step.accuracy);
    }
    std::printf("%s: %s, C %.3g, %5.1f %% of the training pictures, %d iterations%s\n", options.out.c_str(),
                counted(data.labels.size(), "class", "classes").c_str(), trained.probe.c(), 100.0 * accuracy,
                fit.iterations, fit.converged ? "" : " (not converged)");
  }
  return all.failed + validation.failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_probe_train(CLI::App& probe, const Settings& settings, Action& action) {
  auto* command = probe.add_subcommand("train", "Fit a probe and write it to a file");
  auto options = std::make_shared<ProbeTrainOptions>();
  command
      ->add_option("data", options->data,
                   "A folder with a folder a class, .csv with columns path and label, or a WebDataset .tar")
      ->required();
  command->add_option("-o,--out", options->out, "The probe file")->required()->check(file_name());
  auto* c = command->add_option("--c", options->c, "Inverse of the penalty; absent: chosen on validation pictures");
  c->check(number_in(1e-100, 1e100));
  auto* validation = command->add_option("--validation", options->validation, "Pictures that choose C")->excludes(c);
  command->add_option("--holdout", options->holdout, "Without --validation: the share of the data that chooses C")
      ->excludes(c)
      ->excludes(validation)
      ->check(number_in(0.01, 0.9))
      ->capture_default_str();
  command->add_flag("--zero-shot", options->zero_shot, "Start from, and stay near, the labels' texts");
  options->classifier.add_prompts_to(*command);
  command->callback(
      [=, &settings, &action] { action = [=, &settings] { return run_probe_train(*options, settings); }; });
}

}  // namespace cli

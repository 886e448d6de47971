// clipon probe curve: accuracy by the number of labelled pictures a class, as in the paper's figure 6.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "classifier_options.hpp"
#include "outputs.hpp"
#include "probe/labelled.hpp"
#include "probe/probe.hpp"

namespace cli {

namespace {

struct ProbeCurveOptions {
  std::string data;
  std::string test;
  double holdout = 0.5;
  std::vector<std::size_t> shots = {1, 2, 4, 8, 16};
  std::size_t repeats = 5;
  double c = 31.6;
  ClassifierOptions classifier;
};

// What is compared: a name for people, a key for JSON.
constexpr const char* kMethods[] = {"probe", "probe from zero-shot", "Tip-Adapter"};
constexpr const char* kKeys[] = {"probe", "probe_zero_shot", "tip_adapter"};
constexpr std::size_t kMethodCount = 3;

struct Run {
  std::size_t shots = 0;
  std::size_t seed = 0;
  std::vector<std::string> paths;
  double accuracy[kMethodCount] = {};
};

Run measure(const clipon::Classifier& zero_shot, const ProbeCurveOptions& options, const Examples& shots,
            const Examples& test) {
  Run run;
  clipon::ProbeOptions how;
  how.c = options.c;
  const auto& labels = zero_shot.labels();
  const clipon::Model& model = zero_shot.model();
  const auto fit = [&] { return clipon::LinearProbe::train(model, shots.rows, shots.classes, labels, how); };
  run.accuracy[0] = fit().accuracy(test.rows, test.classes);
  how.zero_shot = &zero_shot;
  run.accuracy[1] = fit().accuracy(test.rows, test.classes);
  const clipon::TipAdapter adapter(zero_shot, shots.rows, shots.classes);
  run.accuracy[2] = adapter.accuracy(test.rows, test.classes);
  run.paths = shots.names;
  return run;
}

void print_table(const std::vector<Run>& runs, const ProbeCurveOptions& options, double zero_shot,
                 std::size_t pictures) {
  std::printf("%s, zero-shot %.1f %%\n%5s", counted(pictures, "test picture", "test pictures").c_str(),
              100.0 * zero_shot, "shots");
  for (const char* method : kMethods) std::printf("  %22s", method);
  std::printf("\n");
  for (const std::size_t shots : options.shots) {
    std::printf("%5zu", shots);
    for (std::size_t m = 0; m < kMethodCount; ++m) {
      double sum = 0.0;
      double squares = 0.0;
      double count = 0.0;
      for (const Run& run : runs) {
        if (run.shots != shots) continue;
        sum += run.accuracy[m];
        squares += run.accuracy[m] * run.accuracy[m];
        count += 1.0;
      }
      const double mean = sum / count;
      std::printf("  %12.1f %% +- %4.1f", 100.0 * mean,
                  100.0 * std::sqrt(std::max(0.0, squares / count - mean * mean)));
    }
    std::printf("\n");
  }
}

// Where a class has fewer pictures than shots, all of them are taken.
void print_shortages(const std::vector<std::size_t>& shots, const Examples& pool, std::size_t classes) {
  std::vector<std::size_t> counts(classes);
  for (const std::size_t one : pool.classes) ++counts[one];
  for (const std::size_t wanted : shots) {
    std::size_t taken = 0;
    std::size_t few = 0;
    for (const std::size_t count : counts) {
      taken += std::min(count, wanted);
      few += count < wanted ? 1 : 0;
    }
    if (few == 0) continue;
    std::printf("%s: %s, as %zu of %s %s fewer than %zu\n", counted(wanted, "shot", "shots").c_str(),
                counted(taken, "picture", "pictures").c_str(), few, counted(classes, "class", "classes").c_str(),
                few == 1 ? "has" : "have", wanted);
  }
}

ExitCode run_probe_curve(const ProbeCurveOptions& options, const Settings& settings) {
  const Dataset data = read_labelled(options.data);
  const clipon::Model model = load_model(settings);
  Examples pool = embed_examples(model, settings, data, options.data, labels_of(data.items));
  Examples test;
  std::size_t failed = pool.failed;
  if (options.test.empty()) {
    const Split split = hold_out(pool.classes, data.labels.size(), options.holdout, 0);
    test = pool.part(split.held);
    pool = pool.part(split.kept);
  } else {
    const Dataset other = read_labelled(options.test);
    const auto classes = known_classes(other, options.test, data, options.data);
    test = embed_examples(model, settings, other, options.test, classes);
    failed += test.failed;
  }
  if (test.names.empty()) throw UsageError(options.data + ": expected a class with two pictures or more, found none");
  const clipon::Classifier zero_shot(model, data.labels, options.classifier.classify_options(settings));
  const double zero_shot_accuracy = zero_shot.accuracy(test.rows, test.classes);

  std::vector<Run> runs;
  Progress progress("runs");
  for (const std::size_t shots : options.shots) {
    for (std::size_t seed = 0; seed < options.repeats; ++seed) {
      const auto chosen = clipon::choose_shots(pool.classes, data.labels.size(), shots, seed);
      runs.push_back(measure(zero_shot, options, pool.part(chosen), test));
      runs.back().shots = shots;
      runs.back().seed = seed;
      progress.show(runs.size(), options.shots.size() * options.repeats);
    }
  }
  progress.hide();
  if (settings.json) {
    nlohmann::ordered_json out = {{"model", model.info().name},
                                  {"labels", data.labels},
                                  {"c", options.c},
                                  {"zero_shot", zero_shot_accuracy},
                                  {"test", test.names}};
    out["runs"] = nlohmann::ordered_json::array();
    for (const Run& one : runs) {
      nlohmann::ordered_json row = {{"shots", one.shots}, {"seed", one.seed}, {"train", one.paths}};
      for (std::size_t m = 0; m < kMethodCount; ++m) row[kKeys[m]] = one.accuracy[m];
      out["runs"].push_back(std::move(row));
    }
    std::cout << json_text(out);
  } else {
    print_table(runs, options, zero_shot_accuracy, test.names.size());
    print_shortages(options.shots, pool, data.labels.size());
  }
  return failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_probe_curve(CLI::App& probe, const Settings& settings, Action& action) {
  auto* command = probe.add_subcommand("curve", "Accuracy for 1, 2, 4, 8, 16 labelled pictures a class");
  auto options = std::make_shared<ProbeCurveOptions>();
  command
      ->add_option("data", options->data,
                   "A folder with a folder a class, .csv with columns path and label, or a WebDataset .tar")
      ->required();
  command->add_option("--test", options->test, "Pictures to be right about; absent: a share of the data");
  command->add_option("--holdout", options->holdout, "Without --test: that share")
      ->check(number_in(0.01, 0.9))
      ->capture_default_str();
  one_word(command->add_option("--shots", options->shots, "Pictures a class"))
      ->delimiter(',')
      ->transform(whole_number_from(1))
      ->capture_default_str();
  command->add_option("--repeats", options->repeats, "Draws of the pictures for each number")
      ->transform(whole_number_from(1, 1000))
      ->capture_default_str();
  command->add_option("--c", options->c, "Inverse of the probes' penalty")
      ->check(number_in(1e-100, 1e100))
      ->capture_default_str();
  options->classifier.add_prompts_to(*command);
  command->callback(
      [=, &settings, &action] { action = [=, &settings] { return run_probe_curve(*options, settings); }; });
}

}  // namespace cli

// clipon probe predict: a probe file and pictures to labels.
#include <iostream>

#include "inputs.hpp"
#include "outputs.hpp"
#include "probe/probe.hpp"
#include "ranked_output.hpp"

namespace cli {

namespace {

struct ProbePredictOptions {
  std::string probe;
  std::vector<std::string> pictures;
  std::size_t top = 3;
};

ExitCode run_probe_predict(const ProbePredictOptions& options, const Settings& settings) {
  const auto paths = expand_pictures(options.pictures);
  const clipon::Model model = load_model(settings);
  const auto probe = clipon::LinearProbe::load(model, options.probe);
  const Embedded embedded = embed_pictures(model, settings, paths, true);
  const Ranked ranked = probe.classify_embeddings(embedded.rows, options.top);
  if (settings.json) {
    nlohmann::ordered_json out = {{"model", model.info().name}, {"labels", probe.labels()}};
    out["results"] = ranked_json(paths, embedded, ranked, options.top, false);
    std::cout << json_text(out);
  } else {
    print_ranked(paths, embedded, ranked, options.top, false);
  }
  return report_failures(paths, embedded.status) == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_probe_predict(CLI::App& probe, const Settings& settings, Action& action) {
  auto* command = probe.add_subcommand("predict", "Label pictures by a probe");
  auto options = std::make_shared<ProbePredictOptions>();
  command->add_option("probe", options->probe, "A file of `clipon probe train`, made with the same model")->required();
  command->add_option("pictures", options->pictures, "Picture files, or folders of them")->required();
  command->add_option("--top", options->top, "Labels to show for each picture; 0: all")
      ->transform(whole_number_from(0))
      ->capture_default_str();
  command->callback(
      [=, &settings, &action] { action = [=, &settings] { return run_probe_predict(*options, settings); }; });
}

}  // namespace cli

// clipon classify: pictures against the user's labels.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "commands/embed_all.hpp"
#include "inputs.hpp"

namespace cli {

namespace {

struct Options {
  std::vector<std::string> pictures;
  std::vector<std::string> labels;
  std::string labels_file;
  std::vector<std::string> templates;
  std::size_t top = 3;
};

using Ranked = std::vector<std::vector<clipon::Prediction>>;

void print_table(const std::vector<std::string>& paths, const Embedded& embedded, const Ranked& ranked) {
  std::size_t path_width = 0;
  std::size_t label_width = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!embedded.status[i].ok) continue;
    path_width = std::max(path_width, paths[i].size());
    for (const auto& p : ranked[i]) label_width = std::max(label_width, p.label.size());
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!embedded.status[i].ok) continue;
    std::printf("%-*s", static_cast<int>(path_width), paths[i].c_str());
    for (const auto& p : ranked[i]) {
      std::printf("  %5.1f %% %-*s", 100.0 * static_cast<double>(p.probability), static_cast<int>(label_width),
                  p.label.c_str());
    }
    std::printf("\n");
  }
}

void print_json(const clipon::Model& model, const std::vector<std::string>& paths,
                const std::vector<std::string>& labels, const Embedded& embedded, const Ranked& ranked) {
  nlohmann::ordered_json out;
  out["model"] = model.info().name;
  out["precision"] = to_string(model.precision());
  out["isa"] = clipon::simd::to_string(model.isa());
  out["labels"] = labels;
  out["results"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    nlohmann::ordered_json result = {{"path", paths[i]}, {"ok", embedded.status[i].ok}};
    if (!embedded.status[i].ok) result["error"] = embedded.status[i].message;
    result["predictions"] = nlohmann::ordered_json::array();
    for (const auto& p : ranked[i]) {
      result["predictions"].push_back(
          {{"label", p.label}, {"index", p.index}, {"probability", p.probability}, {"cosine", p.cosine}});
    }
    out["results"].push_back(result);
  }
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

ExitCode run(const Options& options, const Settings& settings) {
  std::vector<std::string> labels = options.labels;
  if (!options.labels_file.empty()) {
    const auto more = read_texts(options.labels_file);
    labels.insert(labels.end(), more.begin(), more.end());
  }
  if (labels.empty()) throw UsageError("labels: expected at least one (--labels a,b,c or --labels-file FILE)");
  const auto paths = expand_pictures(options.pictures);
  const clipon::Model model = load_model(settings);
  clipon::ClassifyOptions how;
  how.top = options.top;
  how.tokenize.truncate = settings.truncate;
  if (!options.templates.empty()) how.templates = options.templates;
  const clipon::Classifier classifier(model, labels, how);
  const Embedded embedded = embed_pictures(model, settings, paths, true);
  Ranked ranked = classifier.classify_embeddings(embedded.rows);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!embedded.status[i].ok) ranked[i].clear();
  }
  if (settings.json) {
    print_json(model, paths, labels, embedded, ranked);
  } else {
    print_table(paths, embedded, ranked);
  }
  return report_failures(paths, embedded.status) == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_classify(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("classify", "Rank labels of your choice for pictures");
  auto options = std::make_shared<Options>();
  command->add_option("pictures", options->pictures, "Picture files, or folders of them")->required();
  command->add_option("--labels", options->labels, "Labels, separated by commas")->delimiter(',');
  command->add_option("--labels-file", options->labels_file, "Labels, one a line or a .json array");
  command->add_option("--template", options->templates,
                      "A sentence with {} for the label; several are averaged (default: {})");
  command->add_option("--top", options->top, "Labels to show for each picture")->capture_default_str();
  command->callback([=, &settings, &action] { action = [=, &settings] { return run(*options, settings); }; });
}

}  // namespace cli

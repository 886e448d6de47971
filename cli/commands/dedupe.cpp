// clipon dedupe: pictures of an index that show nearly the same.
#include <clipon/search.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "index/reader.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct DedupeOptions {
  std::string index;
  double threshold = 0.97;
};

ExitCode run_dedupe(const DedupeOptions& options, const Settings& settings) {
  const IndexReader index(options.index);
  clipon::SearchOptions how;
  how.threads = settings.threads;
  how.isa = clipon::kernels::parse_isa(settings.isa);
  const auto groups = clipon::duplicate_groups(index.view(), static_cast<float>(options.threshold), how);
  nlohmann::ordered_json out = {{"rows", index.size()}, {"threshold", options.threshold}};
  out["groups"] = nlohmann::ordered_json::array();
  for (const auto& group : groups) {
    auto members = nlohmann::ordered_json::array();
    for (const auto& member : group) {
      members.push_back(path_json(index.row(member.row).path));
      members.back()["cosine"] = member.score;
      if (!settings.json) {
        std::printf("%7.4f  %s\n", static_cast<double>(member.score), printable(index.row(member.row).path).c_str());
      }
    }
    out["groups"].push_back(members);
    if (!settings.json) std::printf("\n");
  }
  if (settings.json) std::cout << json_text(out);
  return ExitCode::success;
}

}  // namespace

void add_dedupe(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("dedupe", "List groups of nearly equal pictures of an index");
  auto options = std::make_shared<DedupeOptions>();
  add_index_folder(*command, options->index);
  command->add_option("--threshold", options->threshold, "The cosine from which on two pictures belong together")
      ->check(number_in(-1.0, 1.0))
      ->capture_default_str();
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_dedupe(*options, settings); }; });
}

}  // namespace cli

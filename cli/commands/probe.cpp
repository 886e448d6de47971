// clipon probe: logistic regression on embeddings of labelled pictures.
#include "probe/probe.hpp"

#include "commands/commands.hpp"

namespace cli {

void add_probe(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("probe", "Learn from labelled pictures: train, predict, curve");
  command->require_subcommand(1);
  command->fallthrough();
  for (const auto add : {add_probe_train, add_probe_predict, add_probe_curve}) add(*command, settings, action);
}

}  // namespace cli

// The three parts of `clipon probe`, each with its own options.
#pragma once

#include "commands/commands.hpp"

namespace cli {

void add_probe_train(CLI::App& probe, const Settings& settings, Action& action);
void add_probe_predict(CLI::App& probe, const Settings& settings, Action& action);
void add_probe_curve(CLI::App& probe, const Settings& settings, Action& action);

}  // namespace cli

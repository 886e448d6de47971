// The commands: each adds its options to the command line and runs when it was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "settings.hpp"

namespace cli {

/// What main runs after parsing; the exit code.
using Action = std::function<ExitCode()>;

void add_classify(CLI::App& app, const Settings& settings, Action& action);
void add_embed(CLI::App& app, const Settings& settings, Action& action);
void add_tokenize(CLI::App& app, const Settings& settings, Action& action);
void add_preprocess(CLI::App& app, const Settings& settings, Action& action);
void add_similarity(CLI::App& app, const Settings& settings, Action& action);
void add_bench(CLI::App& app, const Settings& settings, Action& action);
void add_probe(CLI::App& app, const Settings& settings, Action& action);
void add_info(CLI::App& app, const Settings& settings, Action& action);
void add_index(CLI::App& app, const Settings& settings, Action& action);
void add_search(CLI::App& app, const Settings& settings, Action& action);
void add_dedupe(CLI::App& app, const Settings& settings, Action& action);
void add_evaluate(CLI::App& app, const Settings& settings, Action& action);

}  // namespace cli

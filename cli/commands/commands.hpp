// The commands: each adds its options to the command line and runs when it was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <sstream>
#include <string>

#include "settings.hpp"

namespace cli {

/// What main runs after parsing; the exit code.
using Action = std::function<ExitCode()>;

/// Like CLI::Range, except that NaN, which is neither below a range nor above it, does not pass.
inline CLI::Validator number_in(double low, double high) {
  std::ostringstream range;
  range << low << " to " << high;
  const auto check = [=, range = range.str()](const std::string& text) {
    double number = 0.0;
    const bool good = CLI::detail::lexical_cast(text, number) && number >= low && number <= high;
    return good ? std::string() : "expected a number from " + range + ", found " + text;
  };
  return {check, range.str(), ""};
}

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

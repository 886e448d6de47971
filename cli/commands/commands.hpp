// The commands: each adds its options to the command line and runs when it was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <system_error>

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

/// Whole numbers, in decimal: CLI11 reads -1 as 2^64 - 1 and 010 as 8.
inline CLI::Validator whole_number_from(std::size_t least, std::size_t most = SIZE_MAX) {
  const std::string range = most == SIZE_MAX ? "of at least " + std::to_string(least)
                                             : "from " + std::to_string(least) + " to " + std::to_string(most);
  const auto check = [=](std::string& text) {
    std::size_t number = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    const bool good = read.ec == std::errc() && read.ptr == end && number >= least && number <= most;
    if (!good) return "expected a whole number " + range + ", found " + text;
    text = std::to_string(number);
    return std::string();
  };
  return {check, "whole number " + range, ""};
}

/// Of what is written to.
inline CLI::Validator name_of(const char* what) {
  const auto check = [=](const std::string& text) {
    return text.empty() ? std::string("expected a ").append(what).append("'s name, found nothing") : std::string();
  };
  return {check, "", ""};
}
inline CLI::Validator file_name() {
  return name_of("file");
}
/// --index, of the commands that make, search and compare one.
inline void add_index_folder(CLI::App& command, std::string& folder) {
  command.add_option("--index", folder, "The folder of the index")
      ->check(name_of("folder"))
      ->default_val("clipon-index");
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

// The command line as CLI11 is to read it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cli {

/// CLI11 takes an argument like [a,b] for a list of two, also where it is a text or a file's name.  So a mark goes
/// before what begins with a bracket, and each option takes it off again.
class Arguments {
 public:
  Arguments(int argc, char** argv);
  /// Once all options are there.  Throws CLI::ParseError.
  void parse(CLI::App& app);
  /// What the user typed.
  static std::string unmarked(std::string value);

 private:
  std::vector<std::string> words_;  // [argc]
};

}  // namespace cli

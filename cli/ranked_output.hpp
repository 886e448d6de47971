// Pictures and their best labels, as a table or as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/embed_all.hpp"

namespace cli {

using Ranked = std::vector<std::vector<clipon::Prediction>>;

/// One line a picture that could be read.  With `decisions`, a first column says what was chosen, or "unknown".
void print_ranked(const std::vector<std::string>& paths, const Embedded& embedded, const Ranked& ranked,
                  std::size_t top, bool decisions);

/// The "results" array of docs/cli.md.  A probe has no cosines and no margins.
nlohmann::ordered_json ranked_json(const std::vector<std::string>& paths, const Embedded& embedded,
                                   const Ranked& ranked, std::size_t top, bool with_cosines);

}  // namespace cli

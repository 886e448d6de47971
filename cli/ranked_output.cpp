#include "ranked_output.hpp"

#include <algorithm>
#include <cstdio>

namespace cli {

namespace {

std::size_t shown(const std::vector<clipon::Prediction>& ranked, std::size_t top) {
  return top == 0 ? ranked.size() : std::min(top, ranked.size());
}

std::string decision(const std::vector<clipon::Prediction>& ranked) {
  std::string chosen;
  for (const auto& p : ranked) {
    if (p.chosen) chosen += (chosen.empty() ? "" : ", ") + printable(p.label);
  }
  return chosen.empty() ? "unknown" : chosen;
}

}  // namespace

void print_ranked(const std::vector<std::string>& paths, const Embedded& embedded, const Ranked& ranked,
                  std::size_t top, bool decisions) {
  std::size_t path_width = 0;
  std::size_t label_width = 0;
  std::size_t decision_width = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!embedded.status[i].ok) continue;
    path_width = std::max(path_width, width_of(printable(paths[i])));
    decision_width = std::max(decision_width, width_of(decision(ranked[i])));
    for (std::size_t k = 0; k < shown(ranked[i], top); ++k) {
      label_width = std::max(label_width, width_of(printable(ranked[i][k].label)));
    }
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!embedded.status[i].ok) continue;
    std::string line = padded(printable(paths[i]), path_width);
    if (decisions) line.append("  ").append(padded(decision(ranked[i]), decision_width));
    for (std::size_t k = 0; k < shown(ranked[i], top); ++k) {
      char share[16];
      std::snprintf(share, sizeof share, "  %5.1f %% ", 100.0 * static_cast<double>(ranked[i][k].probability));
      line.append(share).append(padded(printable(ranked[i][k].label), label_width));
    }
    line.erase(line.find_last_not_of(' ') + 1);  // of the last column
    std::printf("%s\n", line.c_str());
  }
}

nlohmann::ordered_json ranked_json(const std::vector<std::string>& paths, const Embedded& embedded,
                                   const Ranked& ranked, std::size_t top, bool with_cosines) {
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    nlohmann::ordered_json result = path_json(paths[i]);
    result["ok"] = embedded.status[i].ok;
    if (!embedded.status[i].ok) result["error"] = embedded.status[i].message;
    result["chosen"] = nlohmann::ordered_json::array();
    for (const auto& p : ranked[i]) {
      if (p.chosen) result["chosen"].push_back(p.label);
    }
    result["predictions"] = nlohmann::ordered_json::array();
    for (std::size_t k = 0; k < shown(ranked[i], top); ++k) {
      const auto& p = ranked[i][k];
      nlohmann::ordered_json prediction = {{"label", p.label}, {"index", p.index}, {"probability", p.probability}};
      if (with_cosines) prediction.update({{"cosine", p.cosine}, {"margin", p.margin}});
      result["predictions"].push_back(std::move(prediction));
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace cli

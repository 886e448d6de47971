// Thresholds from examples: how far a score separates right answers from wrong ones, and where to cut for a wanted
// precision.  Layer 6; part of zero_shot.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

/// What an answer is believed by: RejectRules has one threshold for each.
enum class RejectRule { cosine, margin, background };

constexpr const char* to_string(RejectRule rule) {
  switch (rule) {
    case RejectRule::cosine:
      return "cosine";
    case RejectRule::margin:
      return "margin";
    case RejectRule::background:
      return "background";
  }
  return "unknown";
}

/// What one rule does on the examples that it was calibrated on.
struct RuleReport {
  RejectRule rule = RejectRule::cosine;
  float threshold = 0.0f;
  double precision = 0.0;    ///< share of the accepted answers that are right; 1 where none is accepted
  double coverage = 0.0;     ///< share of the pictures whose answer is accepted
  double auroc_right = 0.5;  ///< chance that a right answer scores above one that is not
  double auroc_known = 0.5;  ///< chance that a picture of one of the labels scores above one of none, right or not
  bool chosen = false;       ///< the classifier rejects by this rule now: of those that accept most the first
};

/// The chance that a random element of `positive` is above one of `negative`, ties counting half: the area under the
/// ROC curve.  0.5 where either is empty; NaNs have no place in it.
inline double auroc(std::span<const float> positive, std::span<const float> negative) {
  if (positive.empty() || negative.empty()) return 0.5;
  std::vector<float> sorted(negative.begin(), negative.end());
  std::sort(sorted.begin(), sorted.end());
  double wins = 0.0;
  for (const float x : positive) {
    const auto below = std::lower_bound(sorted.begin(), sorted.end(), x) - sorted.begin();
    const auto not_above = std::upper_bound(sorted.begin(), sorted.end(), x) - sorted.begin();
    wins += 0.5 * static_cast<double>(below + not_above);
  }
  return wins / (static_cast<double>(positive.size()) * static_cast<double>(negative.size()));
}

namespace detail {

/// Of the scores where `is` holds against the others.
inline double auroc_by(std::span<const float> scores, const std::vector<char>& is) {
  std::vector<float> positive;
  std::vector<float> negative;
  for (std::size_t i = 0; i < scores.size(); ++i) (is[i] != 0 ? positive : negative).push_back(scores[i]);
  return auroc(positive, negative);
}

/// The lowest threshold at which the answers that score at least it reach the precision; above all scores if none does.
inline RuleReport cut_for_precision(RejectRule rule, std::span<const float> scores, const std::vector<char>& right,
                                    const std::vector<char>& known, double precision) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  RuleReport report;
  report.rule = rule;
  report.threshold = std::nextafter(scores[order.front()], std::numeric_limits<float>::max());
  report.precision = 1.0;
  std::size_t good = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    good += right[order[i]] != 0 ? 1 : 0;
    if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;  // equal scores stay together
    const double share = static_cast<double>(good) / static_cast<double>(i + 1);
    if (share < precision) continue;
    report.threshold = scores[order[i]];
    report.precision = share;
    report.coverage = static_cast<double>(i + 1) / static_cast<double>(order.size());
  }
  report.auroc_right = auroc_by(scores, right);
  report.auroc_known = auroc_by(scores, known);
  return report;
}

}  // namespace detail

}  // namespace clipon::inline CLIPON_ABI

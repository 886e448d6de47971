// Charts as SVG within a page.  Shares are 0..1 and shown in percent.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "evaluate/evaluation.hpp"

namespace cli {

/// A bar a name, across.
std::string bar_chart(const std::vector<std::pair<std::string, double>>& bars);

/// Accuracy over confidence, with the diagonal that a calibrated model follows; bars' opacity grows with their
/// pictures.
std::string calibration_chart(const Metrics& metrics);

/// Top-1 over strength 0 (as they are) to 5, a line a kind.
std::string shift_chart(const Accuracy& clean, const std::vector<ShiftScore>& shifts);

/// The confusion matrix, true labels down; for some tens of labels.
std::string confusion_chart(const Evaluation& e);

}  // namespace cli

// How many answers are right.  Layer 6; called by Classifier, LinearProbe and TipAdapter.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI::detail {

/// The share of rows whose answer(row) is their class's index; 0 of no rows.  Throws Error invalid_argument for another
/// number of classes.
template <class Answer>
double share_right(Eigen::Index rows, std::span<const std::size_t> classes, const Answer& answer) {
  if (classes.size() != static_cast<std::size_t>(rows)) {
    throw Error(ErrorCode::invalid_argument, "classes: expected one for each of " + std::to_string(rows) +
                                                 " rows, found " + std::to_string(classes.size()));
  }
  const FloatingPointScope scope;
  std::size_t right = 0;
  for (std::size_t i = 0; i < classes.size(); ++i) right += answer(i) == classes[i] ? 1 : 0;
  return classes.empty() ? 0.0 : computed(static_cast<double>(right) / static_cast<double>(classes.size()));
}

constexpr std::size_t kNoAnswer = static_cast<std::size_t>(-1);  // of a row that is not finite: wrong

/// The same where the greatest of a row's logits is its answer.
inline double accuracy_of_logits(const Matrix& logits, std::span<const std::size_t> classes) {
  return share_right(logits.rows(), classes, [&](std::size_t i) {
    const auto r = static_cast<Eigen::Index>(i);
    const float* row = logits.data() + r * logits.cols();
    return is_finite_row(logits, r) ? static_cast<std::size_t>(std::max_element(row, row + logits.cols()) - row)
                                    : kNoAnswer;
  });
}

}  // namespace clipon::inline CLIPON_ABI::detail

// Which pictures a few-shot run may see, and how many answers are right.  Layer 6; part of linear_probe.hpp.  Radford
// et al. 2021, section 3.1.4, figure 6: 1, 2, 4, 8, 16 pictures a class.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI {

/// Indices of `shots` examples of each class (all of a class that has fewer), in the order of the classes: the same
/// ones for the same seed on every machine, and those of fewer shots are a part of those of more.
inline std::vector<std::size_t> choose_shots(std::span<const std::size_t> classes, std::size_t class_count,
                                             std::size_t shots, std::uint64_t seed) {
  std::vector<std::vector<std::size_t>> members;
  if (class_count > members.max_size()) {
    throw Error(ErrorCode::invalid_argument, "classes: expected at most " + std::to_string(members.max_size()) +
                                                 ", found " + std::to_string(class_count));
  }
  members.resize(class_count);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] >= class_count) {
      throw Error(ErrorCode::invalid_argument, "classes: expected indices below " + std::to_string(class_count) +
                                                   ", found " + std::to_string(classes[i]));
    }
    members[classes[i]].push_back(i);
  }
  std::mt19937_64 engine(seed);
  std::vector<std::size_t> chosen;
  for (auto& group : members) {
    // Fisher and Yates, by the remainder: std::shuffle differs from one standard library to the next
    for (std::size_t i = group.size(); i > 1; --i) std::swap(group[i - 1], group[engine() % i]);
    const std::size_t taken = std::min(shots, group.size());
    chosen.insert(chosen.end(), group.begin(), group.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return chosen;
}

namespace detail {

/// The share of rows of logits whose greatest element is their class's; a row that isn't finite is wrong.  Throws Error
/// invalid_argument for another count.
inline double share_right(const Matrix& logits, std::span<const std::size_t> classes) {
  if (classes.size() != static_cast<std::size_t>(logits.rows())) {
    throw Error(ErrorCode::invalid_argument, "classes: expected one for each of " + std::to_string(logits.rows()) +
                                                 " rows, found " + std::to_string(classes.size()));
  }
  std::size_t right = 0;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const float* row = &logits(static_cast<Eigen::Index>(i), 0);
    if (!is_finite_row(logits, static_cast<Eigen::Index>(i))) continue;
    right += static_cast<std::size_t>(std::max_element(row, row + logits.cols()) - row) == classes[i] ? 1 : 0;
  }
  return classes.empty() ? 0.0 : static_cast<double>(right) / static_cast<double>(classes.size());
}

}  // namespace detail

}  // namespace clipon::inline CLIPON_ABI

// Which pictures a few-shot run may see.  Layer 6; part of linear_probe.hpp.  Radford et al. 2021, section 3.1.4,
// figure 6: 1, 2, 4, 8, 16 pictures a class.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI {

/// Indices of `shots` examples of each class (all of a class that has fewer), in the order of the classes: the same
/// ones for the same seed on every machine, and those of fewer shots are a part of those of more.  Throws Error
/// invalid_argument for an index that is no class.
[[nodiscard]] inline std::vector<std::size_t> choose_shots(std::span<const std::size_t> classes,
                                                           std::size_t class_count, std::size_t shots,
                                                           std::uint64_t seed) {
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

}  // namespace clipon::inline CLIPON_ABI

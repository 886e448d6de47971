// Labels and groups as numbers.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "settings.hpp"

namespace cli {

/// Strings, each with a number, in the order of their first use; closed where the user gave the list.
class Names {
 public:
  explicit Names(std::vector<std::string> known = {}) : closed_(!known.empty()) {
    for (std::string& name : known) add(std::move(name));
  }
  std::size_t number(const std::string& name, const std::string& where) {
    const auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    if (closed_) throw UsageError(where + ": expected a label of the labels file, found '" + name + "'");
    return add(name);
  }
  std::vector<std::string> take() { return std::move(names_); }
  [[nodiscard]] std::size_t size() const { return names_.size(); }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  std::size_t add(std::string name) {
    numbers_.emplace(name, names_.size());
    names_.push_back(std::move(name));
    return names_.size() - 1;
  }
  bool closed_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> numbers_;
};

}  // namespace cli

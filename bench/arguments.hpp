// What the measuring programs are told on their command lines: a wrong word is refused, not measured as something else.
#pragma once

#include <charconv>
#include <clipon/clipon.hpp>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench {

inline clipon::Precision precision_named(std::string_view name) {
  using clipon::Precision;
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    if (name == to_string(precision)) return precision;
  }
  throw std::runtime_error("expected f32, bf16 or int8, found '" + std::string(name) + "'");
}

/// 1 .. the greatest int
inline int count_named(std::string_view word) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value < 1) {
    throw std::runtime_error("expected a number from 1 to " + std::to_string(std::numeric_limits<int>::max()) +
                             ", found '" + std::string(word) + "'");
  }
  return value;
}

}  // namespace bench

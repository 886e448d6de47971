// Arithmetic on numbers that come from a file or a caller: it says when it overflows.  Layer 0.
// Every size that is computed from untrusted values goes through these; a raw * or + there is a bug.
#pragma once

#include <cstdint>
#include <optional>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::checked {

constexpr std::optional<std::uint64_t> add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

constexpr std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The next multiple of `alignment` (a power of two).
constexpr std::optional<std::uint64_t> round_up(std::uint64_t value, std::uint64_t alignment) {
  const auto sum = add(value, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

}  // namespace clipon::inline CLIPON_ABI::checked

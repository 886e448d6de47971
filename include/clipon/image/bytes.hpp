// Magic words and numbers in the headers of pictures.  Layer 3; called by what reads PNG, JPEG and BMP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::image {

inline bool starts_with(std::span<const std::byte> bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

/// A number of n bytes, at most 4, its highest first; they must lie within `bytes`.
inline std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t n) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < n; ++i) value = (value << 8) | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

/// The same, its lowest first.
inline std::uint32_t little_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t n) {
  std::uint32_t value = 0;
  for (std::size_t i = n; i-- > 0;) value = (value << 8) | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

}  // namespace clipon::inline CLIPON_ABI::image

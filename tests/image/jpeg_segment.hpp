// A JPEG's segment, for files that tests put together.
#pragma once

#include <cstddef>
#include <string>

namespace support {

inline std::string jpeg_segment(char marker, const std::string& body) {
  const std::size_t length = body.size() + 2;
  return std::string{'\xff', marker, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)} + body;
}

}  // namespace support

// One step of reading UTF-8.  Layer 0; used by error.hpp for messages and by text/utf8.hpp for texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::utf8 {

/// The code point at the start of a string, or -1 for an ill-formed part, and the bytes that it takes.
struct DecodedStep {
  std::int32_t code_point;
  std::size_t bytes;
};

/// s is not empty.  Ill-formed parts are the maximal subparts of Unicode 15, 3.9.
constexpr DecodedStep decode_step(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {static_cast<std::int32_t>(lead), 1};
  if (lead < 0xc2 || lead > 0xf4) return {-1, 1};
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte's range shuts out overlong forms, surrogates and what lies beyond U+10FFFF (Unicode, table 3-7).
  const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  unsigned value = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= s.size() || byte(i) < (i == 1 ? low : 0x80u) || byte(i) > (i == 1 ? high : 0xbfu)) return {-1, i};
    value = (value << 6) | (byte(i) & 0x3fu);
  }
  return {static_cast<std::int32_t>(value), length};
}

}  // namespace clipon::inline CLIPON_ABI::utf8

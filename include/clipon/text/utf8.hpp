// UTF-8 to code points and back.  Layer 3; the first and last step of the tokenizer.
// Ill-formed input (overlong forms, surrogates, beyond U+10FFFF, cut or stray bytes) is an error that names the byte,
// or one U+FFFD per maximal ill-formed part (Unicode 15, 3.9, "substitution of maximal subparts"), as Python's
// bytes.decode(errors="replace") does.
#pragma once

#include <string>
#include <string_view>

#include "clipon/core/config.hpp"
#include "clipon/core/utf8.hpp"
#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI::text {

using utf8::decode_step;
using utf8::DecodedStep;

/// The start of a text, cut between characters, for messages.
inline std::string excerpt(std::string_view text) {
  constexpr std::size_t longest = 40;
  if (text.size() <= longest) return std::string(text);
  std::size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
  return std::string(text.substr(0, end)) + "...";
}

/// Throws Error invalid_utf8 unless `replace`.
inline std::u32string decode_utf8(std::string_view utf8, bool replace = false) {
  std::u32string points;
  points.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size();) {
    const DecodedStep step = decode_step(utf8.substr(i));
    if (step.code_point < 0 && !replace) {
      throw Error(
          ErrorCode::invalid_utf8,
          "text '" + excerpt(utf8) + "': expected UTF-8, found an ill-formed sequence at byte " + std::to_string(i));
    }
    points.push_back(step.code_point < 0 ? U'\ufffd' : static_cast<char32_t>(step.code_point));
    i += step.bytes;
  }
  return points;
}

inline void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  const auto v = static_cast<unsigned>(c);
  if (v < 0x80) {
    put(v);
  } else if (v < 0x800) {
    put(0xc0u | (v >> 6));
    put(0x80u | (v & 0x3fu));
  } else if (v < 0x10000) {
    put(0xe0u | (v >> 12));
    put(0x80u | ((v >> 6) & 0x3fu));
    put(0x80u | (v & 0x3fu));
  } else {
    put(0xf0u | (v >> 18));
    put(0x80u | ((v >> 12) & 0x3fu));
    put(0x80u | ((v >> 6) & 0x3fu));
    put(0x80u | (v & 0x3fu));
  }
}

inline std::string encode_utf8(std::u32string_view points) {
  std::string out;
  out.reserve(points.size());
  for (const char32_t c : points) append_utf8(out, c);
  return out;
}

}  // namespace clipon::inline CLIPON_ABI::text

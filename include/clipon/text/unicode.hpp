// Questions about characters, answered from the generated tables.  Layer 3; used by the cleaning and splitting of
// texts.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "clipon/text/unicode_tables.hpp"

namespace clipon::inline CLIPON_ABI::text {

template <std::size_t n>
bool contains(const CodePointRange (&table)[n], char32_t c) {
  const auto* after = std::upper_bound(std::begin(table), std::end(table), c,
                                       [](char32_t x, const CodePointRange& range) { return x < range.first; });
  return after != std::begin(table) && c <= std::prev(after)->last;
}

/// The mapping of c, or null.
template <int longest, std::size_t n>
const Mapping<longest>* find(const Mapping<longest> (&table)[n], char32_t c) {
  const auto* hit = std::lower_bound(std::begin(table), std::end(table), c,
                                     [](const Mapping<longest>& entry, char32_t x) { return entry.from < x; });
  return hit != std::end(table) && hit->from == c ? hit : nullptr;
}

/// Appends what c maps to, or c itself.
template <int longest, std::size_t n>
void append_mapped(std::u32string& out, const Mapping<longest> (&table)[n], char32_t c) {
  const auto* mapping = find(table, c);
  if (mapping == nullptr) {
    out.push_back(c);
    return;
  }
  for (const std::uint32_t to : mapping->to) {
    if (to != 0) out.push_back(static_cast<char32_t>(to));
  }
}

/// Each character of `s` replaced by what it maps to; the same string where the table knows none of them.
template <int longest, std::size_t n>
std::u32string translate(const std::u32string& s, const Mapping<longest> (&table)[n]) {
  const auto known = [&](char32_t c) { return c >= table[0].from && find(table, c) != nullptr; };
  if (std::none_of(s.begin(), s.end(), known)) return s;
  std::u32string out;
  out.reserve(s.size());
  for (const char32_t c : s) append_mapped(out, table, c);
  return out;
}

inline bool is_letter(char32_t c) {
  return c < 0x80 ? (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') : contains(kLetters, c);
}
inline bool is_number(char32_t c) {
  return c < 0x80 ? c >= U'0' && c <= U'9' : contains(kNumbers, c);
}
inline bool is_regex_space(char32_t c) {
  return c < 0x80 ? c == U' ' || (c >= 0x9 && c <= 0xd) : contains(kRegexSpaces, c);
}
inline bool is_strip_space(char32_t c) {
  return c < 0x80 ? c == U' ' || (c >= 0x9 && c <= 0xd) || (c >= 0x1c && c <= 0x1f) : contains(kStripSpaces, c);
}

// A sigma at a word's end becomes the final form: cased letters before it and none after, case-ignorable ones apart
// (Unicode, table 3-17; CPython unicodeobject.c, handle_capital_sigma).  `cased_before` is what lower() has seen so
// far.
inline bool is_final_sigma(std::u32string_view s, std::size_t i, bool cased_before) {
  if (!cased_before) return false;
  for (std::size_t j = i + 1; j < s.size(); ++j) {
    if (contains(kCaseIgnorable, s[j])) continue;
    return !contains(kCased, s[j]);
  }
  return true;
}

/// Python's str.lower: full mappings, final sigma.
inline std::u32string lower(const std::u32string& s) {
  constexpr char32_t capital_sigma = 0x3a3;
  constexpr char32_t final_sigma = 0x3c2;
  const bool sigma = s.find(capital_sigma) != std::u32string::npos;  // the context is kept only where it is needed
  bool cased_before = false;
  std::u32string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const char32_t c = s[i];
    if (c < 0x80) {
      out.push_back(c >= U'A' && c <= U'Z' ? c + 32 : c);
    } else if (c == capital_sigma && is_final_sigma(s, i, cased_before)) {
      out.push_back(final_sigma);
    } else {
      append_mapped(out, kLower, c);
    }
    if (sigma && !contains(kCaseIgnorable, c)) cased_before = contains(kCased, c);
  }
  return out;
}

}  // namespace clipon::inline CLIPON_ABI::text

// HTML character references: Python's html.unescape, and the stricter form of ftfy.  Layer 3; used by clean.hpp.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "clipon/text/unicode.hpp"

namespace clipon::inline CLIPON_ABI::text {

template <std::size_t n>
const HtmlEntity* find_entity(const HtmlEntity (&table)[n], std::string_view name) {
  const auto* hit = std::lower_bound(std::begin(table), std::end(table), name,
                                     [](const HtmlEntity& e, std::string_view x) { return x.compare(e.name) > 0; });
  return hit != std::end(table) && name == hit->name ? hit : nullptr;
}

inline void append_entity(std::u32string& out, const HtmlEntity& entity) {
  for (const std::uint32_t c : entity.to) {
    if (c != 0) out.push_back(static_cast<char32_t>(c));
  }
}

/// The character of a numeric reference by the rules of HTML 5 (html.unescape); nullopt: it becomes nothing.
inline std::optional<char32_t> numeric_reference(std::uint64_t number) {
  if (number == 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) return U'\ufffd';
  const auto c = static_cast<char32_t>(number);
  if (c >= 0x80 && c <= 0x9f) {  // meant as Windows-1252
    const auto* mapping = find(kC1Controls, c);
    return mapping != nullptr ? static_cast<char32_t>(mapping->to[0]) : c;
  }
  const bool noncharacter = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
  const bool control = (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f;
  if (noncharacter || control) return std::nullopt;
  return c;
}

/// A numeric reference at s[0] == '#': its value and the characters that it takes, with its semicolon if there is one.
struct NumericReference {
  std::uint64_t value = 0;
  std::size_t length = 0;  // 0: there is none
};

inline NumericReference parse_numeric(std::u32string_view s) {
  const bool hexadecimal = s.size() > 1 && (s[1] == U'x' || s[1] == U'X');
  const std::size_t first = hexadecimal ? 2 : 1;
  NumericReference reference;
  std::size_t i = first;
  for (; i < s.size(); ++i) {
    const char32_t c = s[i];
    unsigned digit = 16;
    if (c >= U'0' && c <= U'9') digit = c - U'0';
    if (hexadecimal && c >= U'a' && c <= U'f') digit = c - U'a' + 10;
    if (hexadecimal && c >= U'A' && c <= U'F') digit = c - U'A' + 10;
    if (digit == 16) break;
    reference.value = std::min<std::uint64_t>(reference.value * (hexadecimal ? 16 : 10) + digit, 0x110000);
  }
  if (i == first) return {};
  reference.length = i < s.size() && s[i] == U';' ? i + 1 : i;
  return reference;
}

// The longest run that html.unescape takes for a name: up to 32 characters without space, '<', '&', '#', ';', then ';'.
inline std::string entity_name(std::u32string_view s) {
  std::string name;
  for (const char32_t c : s) {
    if (c == U'\t' || c == U'\n' || c == U'\f' || c == U' ' || c == U'<' || c == U'&' || c == U'#' || c == U';') break;
    if (name.size() == 32) return name;
    name.push_back(c < 0x80 ? static_cast<char>(c) : '\x7f');  // no name has other characters: any stand-in will do
  }
  if (name.size() < s.size() && s[name.size()] == U';' && !name.empty()) name.push_back(';');
  return name;
}

/// Python's html.unescape.
inline std::u32string html_unescape(const std::u32string& s) {
  if (s.find(U'&') == std::u32string::npos) return s;
  std::u32string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] != U'&') {
      out.push_back(s[i++]);
      continue;
    }
    const auto rest = std::u32string_view(s).substr(i + 1);
    if (!rest.empty() && rest[0] == U'#') {
      const NumericReference reference = parse_numeric(rest);
      if (reference.length > 0) {
        if (const auto c = numeric_reference(reference.value)) out.push_back(*c);
        i += 1 + reference.length;
        continue;
      }
    } else {
      const std::string name = entity_name(rest);
      std::size_t taken = name.size();
      const HtmlEntity* entity = taken > 0 ? find_entity(kHtmlEntities, name) : nullptr;
      constexpr std::size_t longest = 6;  // of the names that may lack their semicolon, "Aacute" for one
      for (std::size_t n = std::min(name.size(), longest + 1); entity == nullptr && n-- > 2;) {
        entity = find_entity(kHtmlEntities, std::string_view(name).substr(0, n));
        taken = n;
      }
      if (entity != nullptr) {
        append_entity(out, *entity);
        i += 1 + taken;
        continue;
      }
    }
    out.push_back(s[i++]);
  }
  return out;
}

/// ftfy's unescape_html: only complete references (&#?[0-9A-Za-z]{1,24};), and capitalised names too.
inline std::u32string ftfy_unescape_html(const std::u32string& s) {
  if (s.find(U'&') == std::u32string::npos) return s;
  std::u32string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size();) {
    std::size_t end = i + 1;
    if (s[i] == U'&') {
      const std::size_t first = end < s.size() && s[end] == U'#' ? end + 1 : end;
      end = first;
      while (end < s.size() && end - first < 24 && s[end] < 0x80 && (is_letter(s[end]) || is_number(s[end]))) ++end;
      if (end > first && end < s.size() && s[end] == U';') {
        ++end;
        const auto match = std::u32string_view(s).substr(i, end - i);
        if (first > i + 1) {
          const std::u32string unescaped = html_unescape(std::u32string(match));
          out += unescaped.find(U';') == std::u32string::npos ? unescaped : std::u32string(match);
          i = end;
          continue;
        }
        const std::string name(match.begin() + 1, match.end());
        const HtmlEntity* entity = find_entity(kFtfyEntities, name);
        if (entity == nullptr) entity = find_entity(kHtmlEntities, name);
        if (entity != nullptr) {
          append_entity(out, *entity);
        } else {
          out += match;
        }
        i = end;
        continue;
      }
    }
    out.push_back(s[i++]);
  }
  return out;
}

}  // namespace clipon::inline CLIPON_ABI::text

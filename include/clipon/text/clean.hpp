// What CLIP's tokenizer does to a text before it splits it.  Layer 3; called by tokenizer.hpp.
// openai/CLIP clip/simple_tokenizer.py: whitespace_clean(basic_clean(text)).lower().  Of ftfy.fix_text all
// deterministic steps are here; the guess at wrongly decoded bytes (fix_encoding) is left out.
#pragma once

#include <algorithm>
#include <string>

#include "clipon/text/html_entities.hpp"
#include "clipon/text/normalize.hpp"
#include "clipon/text/unicode.hpp"

namespace clipon::inline CLIPON_ABI::text {

/// What stands before html.unescape: ftfy.fix_text, as openai/CLIP with ftfy installed does, or nothing.
enum class Cleaning { ftfy, basic };

// ftfy.fixes.uncurl_quotes
inline std::u32string uncurl_quotes(std::u32string s) {
  for (char32_t& c : s) {
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) c = U'\'';
    if (c >= 0x201c && c <= 0x201f) c = U'"';
  }
  return s;
}

// ftfy.fixes.fix_line_breaks
inline std::u32string fix_line_breaks(const std::u32string& s) {
  std::u32string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == U'\r') {
      if (i + 1 >= s.size() || s[i + 1] != U'\n') out.push_back(U'\n');
    } else {
      out.push_back(s[i] == 0x2028 || s[i] == 0x2029 || s[i] == 0x85 ? U'\n' : s[i]);
    }
  }
  return out;
}

// ftfy.fixes.remove_terminal_escapes: ESC [ (digits and semicolons) letter.  Its \d means any decimal digit.
inline std::u32string remove_terminal_escapes(const std::u32string& s) {
  if (s.find(U'\033') == std::u32string::npos) return s;
  std::u32string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] == U'\033' && i + 1 < s.size() && s[i + 1] == U'[') {
      std::size_t end = i + 2;
      while (end < s.size() && (s[end] == U';' || contains(kDecimalDigits, s[end]))) ++end;
      if (end < s.size() && s[end] < 0x80 && is_letter(s[end])) {
        i = end + 1;
        continue;
      }
    }
    out.push_back(s[i++]);
  }
  return out;
}

// ftfy.chardata.CONTROL_CHARS
inline bool is_removed_control(char32_t c) {
  return c <= 0x8 || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || (c >= 0x206a && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffc);
}

/// How much more repeating a text is worth.  Each repetition undoes one level of "&amp;amp;...", so a text of nothing
/// else would take time by its square; what ends the repeating early is a text with megabytes of such nesting.
class RepetitionBudget {
 public:
  explicit RepetitionBudget(std::size_t length) : left_(4 * length + 4'000'000) {}
  /// True if another pass over `length` characters may be made.
  bool spend(std::size_t length) {
    if (length > left_) return false;
    left_ -= length;
    return true;
  }

 private:
  std::size_t left_;  // characters
};

// ftfy.fix_and_explain: all steps in order, until nothing changes.
inline std::u32string ftfy_fix_segment(std::u32string s, bool unescape, RepetitionBudget& budget) {
  while (true) {
    const std::u32string before = s;
    if (unescape) s = ftfy_unescape_html(s);
    s = translate(s, kC1Controls);
    s = translate(s, kLigatures);
    s = translate(s, kWidths);
    s = uncurl_quotes(std::move(s));
    s = fix_line_breaks(s);
    s = remove_terminal_escapes(s);
    s.erase(std::remove_if(s.begin(), s.end(), is_removed_control), s.end());
    s = normalize_nfc(s);
    if (s == before || !budget.spend(before.size())) return s;
  }
}

/// ftfy.fix_text(text, fix_encoding=False): line by line; once a line has a '<', HTML is no longer unescaped.
inline std::u32string ftfy_fix_text(const std::u32string& s) {
  constexpr std::size_t longest = 1'000'000;  // ftfy's max_decode_length
  RepetitionBudget budget(s.size());
  std::u32string out;
  out.reserve(s.size());
  bool unescape = true;
  for (std::size_t i = 0; i < s.size();) {
    const std::size_t line = s.find(U'\n', i);
    const std::size_t end = std::min(line == std::u32string::npos ? s.size() : line + 1, i + longest);
    std::u32string segment = s.substr(i, end - i);
    if (segment.find(U'<') != std::u32string::npos) unescape = false;
    out += ftfy_fix_segment(std::move(segment), unescape, budget);
    i = end;
  }
  return out;
}

// Python's str.strip, then runs of white space to one blank, as whitespace_clean does.
inline std::u32string collapse_white_space(const std::u32string& s) {
  std::u32string out;
  out.reserve(s.size());
  bool in_space = false;
  for (const char32_t c : s) {
    if (is_regex_space(c)) {
      if (!in_space) out.push_back(U' ');
      in_space = true;
    } else {
      out.push_back(c);
      in_space = false;
    }
  }
  return out;
}

inline std::u32string strip(const std::u32string& s) {
  std::size_t first = 0;
  std::size_t last = s.size();
  while (first < last && is_strip_space(s[first])) ++first;
  while (last > first && is_strip_space(s[last - 1])) --last;
  return s.substr(first, last - first);
}

/// The text that is split into words.
inline std::u32string clean(const std::u32string& s, Cleaning cleaning) {
  const std::u32string fixed = cleaning == Cleaning::ftfy ? ftfy_fix_text(s) : s;
  return lower(strip(collapse_white_space(strip(html_unescape(html_unescape(fixed))))));
}

}  // namespace clipon::inline CLIPON_ABI::text

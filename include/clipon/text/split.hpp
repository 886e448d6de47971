// Cuts a cleaned text into words.  Layer 3; called by tokenizer.hpp.  The pattern of openai/CLIP's simple_tokenizer.py,
// ignoring case, by hand: linear time, no recursion.
//   <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
#pragma once

#include <string_view>

#include "clipon/text/unicode.hpp"

namespace clipon::inline CLIPON_ABI::text {

// Equal but for case; U+017F, the long s, folds to s (the texts are lower case already).
inline bool starts_with(std::u32string_view s, std::u32string_view prefix) {
  if (s.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (s[i] != prefix[i] && !(prefix[i] == U's' && s[i] == 0x17f)) return false;
  }
  return true;
}

/// What no part of the pattern matches: white space, and U+0345, a combining mark whose case folds to a letter, so that
/// regex with IGNORECASE finds it in neither [\p{L}]+ nor [^\s\p{L}\p{N}]+.
inline bool is_between_words(char32_t c) {
  return is_regex_space(c) || c == 0x345;
}

/// The length of the word at s[0], which is not between words.
inline std::size_t word_length(std::u32string_view s) {
  constexpr std::u32string_view fixed[] = {
      U"<|startoftext|>", U"<|endoftext|>", U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
  if (s[0] == U'<' || s[0] == U'\'') {
    for (const auto word : fixed) {
      if (starts_with(s, word)) return word.size();
    }
  }
  if (is_number(s[0])) return 1;
  std::size_t n = 1;
  if (is_letter(s[0])) {
    while (n < s.size() && is_letter(s[n])) ++n;
  } else {
    while (n < s.size() && !is_between_words(s[n]) && !is_letter(s[n]) && !is_number(s[n])) ++n;
  }
  return n;
}

/// Calls `word` for each word of s in order.
template <class Word>
void for_each_word(std::u32string_view s, const Word& word) {
  for (std::size_t i = 0; i < s.size();) {
    if (is_between_words(s[i])) {
      ++i;
      continue;
    }
    const std::size_t n = word_length(s.substr(i));
    word(s.substr(i, n));
    i += n;
  }
}

}  // namespace clipon::inline CLIPON_ABI::text

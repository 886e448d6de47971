// Unicode normalisation form C (Unicode Standard Annex 15), ftfy's last step.  Layer 3.  Python's
// unicodedata.normalize("NFC", s).
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "clipon/text/unicode.hpp"

namespace clipon::inline CLIPON_ABI::text {

// Hangul syllables are composed by arithmetic: leading consonant, vowel, optional trailing consonant (Unicode, 3.12).
constexpr char32_t kHangulBase = 0xac00;
constexpr char32_t kLeadBase = 0x1100;
constexpr char32_t kVowelBase = 0x1161;
constexpr char32_t kTrailBase = 0x11a7;
constexpr char32_t kLeads = 19;
constexpr char32_t kVowels = 21;
constexpr char32_t kTrails = 28;

inline std::uint32_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const auto* after = std::upper_bound(std::begin(kCombiningClasses), std::end(kCombiningClasses), c,
                                       [](char32_t x, const CombiningClass& range) { return x < range.first; });
  if (after == std::begin(kCombiningClasses) || c > std::prev(after)->last) return 0;
  return std::prev(after)->value;
}

inline void append_decomposed(std::u32string& out, char32_t c) {
  if (c < 0xc0) {
    out.push_back(c);
  } else if (c >= kHangulBase && c < kHangulBase + kLeads * kVowels * kTrails) {
    const char32_t index = c - kHangulBase;
    out.push_back(kLeadBase + index / (kVowels * kTrails));
    out.push_back(kVowelBase + index % (kVowels * kTrails) / kTrails);
    if (index % kTrails != 0) out.push_back(kTrailBase + index % kTrails);
  } else {
    append_mapped(out, kDecompositions, c);
  }
}

/// The primary composite of a pair, or 0.
inline char32_t compose(char32_t first, char32_t second) {
  if (first >= kLeadBase && first < kLeadBase + kLeads && second >= kVowelBase && second < kVowelBase + kVowels) {
    return kHangulBase + ((first - kLeadBase) * kVowels + (second - kVowelBase)) * kTrails;
  }
  if (first >= kHangulBase && first < kHangulBase + kLeads * kVowels * kTrails &&
      (first - kHangulBase) % kTrails == 0 && second > kTrailBase && second < kTrailBase + kTrails) {
    return first + (second - kTrailBase);
  }
  const auto* hit = std::lower_bound(
      std::begin(kCompositions), std::end(kCompositions), std::pair(first, second),
      [](const Composition& c, const auto& pair) { return std::pair<char32_t, char32_t>(c.first, c.second) < pair; });
  return hit != std::end(kCompositions) && hit->first == first && hit->second == second
             ? static_cast<char32_t>(hit->composed)
             : 0;
}

// A run of combining marks in the order of their classes, each class in the order of the text: by counting, since a
// hostile text may be one run of a million.
inline void order_run(std::u32string& s, std::size_t first, std::size_t last) {
  std::array<std::size_t, 257> starts{};
  bool ordered = true;
  for (std::size_t i = first; i < last; ++i) {
    ++starts[combining_class(s[i]) + 1];
    ordered = ordered && (i == first || combining_class(s[i - 1]) <= combining_class(s[i]));
  }
  if (ordered) return;
  for (std::size_t c = 1; c < starts.size(); ++c) starts[c] += starts[c - 1];
  const std::u32string run = s.substr(first, last - first);
  for (const char32_t c : run) s[first + starts[combining_class(c)]++] = c;
}

inline void order_canonically(std::u32string& s) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (combining_class(s[i]) == 0) continue;
    const std::size_t first = i;
    while (i < s.size() && combining_class(s[i]) != 0) ++i;
    if (i - first > 1) order_run(s, first, i);
  }
}

inline std::u32string normalize_nfc(const std::u32string& s) {
  // Below U+0300 nothing combines, and what is composed already is in form C.
  if (std::all_of(s.begin(), s.end(), [](char32_t c) { return c < 0x300; })) return s;
  std::u32string decomposed;
  decomposed.reserve(s.size());
  for (const char32_t c : s) append_decomposed(decomposed, c);
  order_canonically(decomposed);

  std::u32string out;
  out.reserve(decomposed.size());
  std::size_t starter = std::u32string::npos;  // the last character of class 0 in `out`
  std::uint32_t last_class = 0;                // of the last character kept after it
  for (const char32_t c : decomposed) {
    const std::uint32_t its_class = combining_class(c);
    const bool adjacent = starter != std::u32string::npos && starter + 1 == out.size();
    if (starter != std::u32string::npos && (adjacent || last_class < its_class)) {
      const char32_t composed = compose(out[starter], c);
      if (composed != 0) {
        out[starter] = composed;
        continue;
      }
    }
    if (its_class == 0) starter = out.size();
    last_class = its_class;
    out.push_back(c);
  }
  return out;
}

}  // namespace clipon::inline CLIPON_ABI::text

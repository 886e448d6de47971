// A text file as lines.  Layer 3; called by labels, templates and the command's texts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clipon/format/read_file.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// Without blanks at either end, a carriage return among them.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t first = text.find_first_not_of(blanks);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// The lines without line ends (of either kind) and without blanks around, empty ones left out, and without the byte
/// order mark that some editors put first.  Throws Error as read_file does.
inline std::vector<std::string> read_lines(const std::string& path, std::uint64_t max_bytes, const char* what) {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  const auto bytes = read_file(path, max_bytes, what);
  const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> lines;
  for (std::size_t at = content.starts_with(mark) ? mark.size() : 0; at < content.size();) {
    const std::size_t end = std::min(content.find('\n', at), content.size());
    const std::string_view line = trimmed(content.substr(at, end - at));
    if (!line.empty()) lines.emplace_back(line);
    at = end + 1;
  }
  return lines;
}

}  // namespace clipon::inline CLIPON_ABI::format

// A text file as lines.  Layer 3; called by labels, templates and the command's texts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clipon/format/read_file.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// The lines without line ends (of either kind) and without blanks around, empty ones left out, and without the byte
/// order mark that some editors put first.  Throws Error as read_file does.
inline std::vector<std::string> read_lines(const std::string& path, std::uint64_t max_bytes, const char* what) {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  const auto bytes = read_file(path, max_bytes, what);
  const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> lines;
  for (std::size_t at = content.starts_with(mark) ? mark.size() : 0; at < content.size();) {
    const std::size_t end = std::min(content.find('\n', at), content.size());
    const std::string_view line = content.substr(at, end - at);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first != line.npos) lines.emplace_back(line.substr(first, line.find_last_not_of(" \t\r") - first + 1));
    at = end + 1;
  }
  return lines;
}

}  // namespace clipon::inline CLIPON_ABI::format

// An index, to search in: the vectors mapped, the lines of rows.jsonl parsed when they are asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "index/layout.hpp"

namespace cli {

class IndexReader {
 public:
  /// Throws clipon::Error: no index there, files that don't fit together, a replacement that was interrupted.
  explicit IndexReader(const std::string& folder);

  [[nodiscard]] const IndexHead& head() const { return head_; }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  [[nodiscard]] IndexRow row(std::size_t i) const { return parse_row(lines_[i], paths_.rows); }
  [[nodiscard]] clipon::VectorsView view() const;

 private:
  IndexPaths paths_;
  IndexHead head_;
  std::uint64_t inode_;  // of vectors.npy, which a writer that drops rows replaces before the other files
  clipon::format::MappedFile vectors_;
  std::unique_ptr<clipon::format::MappedFile> scales_;  // int8 alone
  clipon::format::MappedFile rows_;
  std::vector<std::string_view> lines_;  // whole lines with a whole vector
};

/// The whole lines of a text, without their ends; what follows the last end is left out.
std::vector<std::string_view> whole_lines(std::string_view text);

}  // namespace cli

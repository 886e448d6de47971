// An index, to search in: the vectors mapped, the lines of rows.jsonl parsed when they are asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "index/layout.hpp"

namespace cli {

class IndexReader {
 public:
  /// Throws clipon::Error: no index there, a replacement that was interrupted.  Rows whose vectors are missing, which
  /// no writer leaves, are left out with a warning.
  explicit IndexReader(const std::string& folder);

  [[nodiscard]] const IndexHead& head() const { return head_; }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  [[nodiscard]] IndexRow row(std::size_t i) const { return parse_row(lines_[i], paths_.rows); }
  [[nodiscard]] clipon::VectorsView view() const;

 private:
  IndexPaths paths_;
  IndexHead head_;
  std::uint64_t vectors_inode_;  // a writer that drops rows replaces the files
  std::uint64_t rows_inode_;
  clipon::format::MappedFile rows_;  // first: a writer that appends writes its lines last
  clipon::format::MappedFile vectors_;
  std::unique_ptr<clipon::format::MappedFile> scales_;  // int8 alone
  std::vector<std::string_view> lines_;                 // whole lines with a whole vector
};

/// A line on the error stream where `vectors` are fewer than `rows`; `then` says what becomes of the others.
void warn_of_missing_vectors(const std::string& folder, std::size_t rows, std::size_t vectors, const char* then);

/// The whole lines of a text, without their ends; what follows the last end is left out.
std::vector<std::string_view> whole_lines(std::string_view text);

}  // namespace cli

// An index, to add to: one writer at a time, and whenever it is killed, what is whole stays.
#pragma once

#include <clipon/clipon.hpp>
#include <string>
#include <vector>

#include "index/layout.hpp"

namespace cli {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class IndexWriter {
 public:
  /// Opens the index in `folder` or begins one, finishes or undoes what an interrupted writer left.  Throws
  /// clipon::Error: another writer is at work, the index was made by another head, or its head is gone.
  IndexWriter(const std::string& folder, const IndexHead& head);

  [[nodiscard]] const std::vector<IndexRow>& rows() const { return rows_; }

  /// Rows at the end; when this returns they are on the disk.
  void append(const std::vector<IndexRow>& rows, const clipon::VectorsView& vectors);

  /// Only the rows whose `wanted` is true, in their order.
  void keep(const std::vector<bool>& wanted);

 private:
  void finish_replacing();
  void refuse_rows_without_head(const std::string& folder) const;
  void cut_to_whole_rows(const std::string& folder);
  void write_headers() const;

  IndexPaths paths_;
  IndexHead head_;
  Descriptor lock_;
  std::vector<IndexRow> rows_;
};

}  // namespace cli

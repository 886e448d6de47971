#include "index/reader.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace cli {

namespace {

std::size_t rows_in(const clipon::format::MappedFile& npy, std::size_t row_bytes) {
  const std::size_t bytes = npy.bytes().size();
  return bytes < kNpyHeaderBytes ? 0 : (bytes - kNpyHeaderBytes) / row_bytes;
}

std::uint64_t inode_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? std::uint64_t{status.st_ino} : 0;
}

std::string checked_folder(const std::string& folder) {
  if (::access(IndexPaths(folder).head.c_str(), F_OK) != 0) {
    const std::string why =
        errno == ENOENT || errno == ENOTDIR ? "found none (clipon index makes one)" : std::strerror(errno);
    throw clipon::Error(clipon::ErrorCode::io, folder + ": expected an index, " + why);
  }
  const auto is_replaced = [&] { return ::access(IndexPaths(folder).replacing.c_str(), F_OK) == 0; };
  for (int i = 0; i < 100 && is_replaced(); ++i) ::usleep(10'000);  // a writer at work takes some milliseconds
  if (is_replaced()) {
    throw clipon::Error(clipon::ErrorCode::io,
                        folder + ": its last update was interrupted; clipon index, run once more, finishes it");
  }
  return folder;
}

}  // namespace

void warn_of_missing_vectors(const std::string& folder, std::size_t rows, std::size_t vectors, const char* then) {
  if (vectors >= rows) return;
  std::fprintf(stderr, "clipon: %s: index: expected vectors for %zu rows, found %zu: %s\n",
               clipon::one_line(folder).c_str(), rows, vectors, then);
}

std::vector<std::string_view> whole_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string_view::npos; at = end + 1) {
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

IndexReader::IndexReader(const std::string& folder)
    : paths_(checked_folder(folder)),
      head_(read_head(paths_.head)),
      vectors_inode_(inode_of(paths_.vectors)),
      rows_inode_(inode_of(paths_.rows)),
      rows_(paths_.rows, true, "index"),
      vectors_(paths_.vectors, true, "index") {
  const auto text = rows_.bytes();
  lines_ = whole_lines({reinterpret_cast<const char*>(text.data()), text.size()});
  std::size_t rows = std::min(lines_.size(), rows_in(vectors_, head_.row_bytes()));
  if (head_.type == clipon::DataType::i8) {
    scales_ = std::make_unique<clipon::format::MappedFile>(paths_.scales, true, "index");
    rows = std::min(rows, rows_in(*scales_, sizeof(float)));
  }
  checked_folder(folder);
  if (inode_of(paths_.vectors) != vectors_inode_ || inode_of(paths_.rows) != rows_inode_) {
    throw clipon::Error(clipon::ErrorCode::io, folder + ": index: it was replaced while it was opened; try again");
  }
  warn_of_missing_vectors(folder, lines_.size(), rows,
                          "the others are left out until clipon index has made them again");
  lines_.resize(rows);
}

clipon::VectorsView IndexReader::view() const {
  const auto data = [](const clipon::format::MappedFile& npy) { return npy.bytes().data() + kNpyHeaderBytes; };
  if (lines_.empty()) return {nullptr, head_.type, 0, head_.width, nullptr};
  return {data(vectors_), head_.type, static_cast<std::ptrdiff_t>(lines_.size()), head_.width,
          scales_ ? reinterpret_cast<const float*>(data(*scales_)) : nullptr};
}

}  // namespace cli

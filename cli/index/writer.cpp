#include "index/writer.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "index/reader.hpp"
#include "outputs.hpp"

namespace cli {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail_to_write(const std::string& path, const std::string& why) {
  throw clipon::Error(clipon::ErrorCode::io, path + ": index: " + why);
}

// Waits for no reader of a pipe.
int open_file(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0666);
  constexpr const char* kOther = "expected a regular file, found a device or pipe";
  if (fd < 0) fail_to_write(path, errno == ENXIO ? kOther : std::strerror(errno));
  struct stat status = {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) return fd;
  ::close(fd);
  fail_to_write(path, kOther);
}

// All bytes at `offset`, and the disk has them.
void write_at(const std::string& path, std::uint64_t offset, const void* data, std::size_t bytes) {
  const Descriptor file(open_file(path, O_WRONLY | O_CREAT));
  const auto* from = static_cast<const char*>(data);
  for (std::size_t done = 0; done < bytes;) {
    const auto put = ::pwrite(file.get(), from + done, bytes - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno != EINTR) fail_to_write(path, std::strerror(errno));
    if (put > 0) done += static_cast<std::size_t>(put);
  }
  if (::fdatasync(file.get()) != 0) fail_to_write(path, std::strerror(errno));
}

void cut(const std::string& path, std::uint64_t bytes) {
  if (::truncate(path.c_str(), static_cast<off_t>(bytes)) != 0) fail_to_write(path, std::strerror(errno));
}

std::uint64_t size_of_file(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

void rename_over(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) fail_to_write(to, std::strerror(errno));
}

// What two indices must agree in to be one.
std::string summary(const IndexHead& head) {
  return "the model " + head.model + " (" + head.fingerprint + ") in " + head.precision + ", stored as " +
         (head.type == clipon::DataType::i8 ? "int8" : "f16") + (head.exif ? ", with --exif" : ", without --exif");
}

std::uint64_t npy_rows(const std::string& path, std::size_t row_bytes) {
  const std::uint64_t bytes = size_of_file(path);
  return bytes < kNpyHeaderBytes ? 0 : (bytes - kNpyHeaderBytes) / row_bytes;
}

}  // namespace

Descriptor::~Descriptor() {
  ::close(fd_);
}

IndexWriter::IndexWriter(const std::string& folder, const IndexHead& head)
    : paths_((fs::create_directories(folder), folder)), head_(head), lock_(open_file(paths_.lock, O_RDWR | O_CREAT)) {
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) fail_to_write(folder, "another clipon is at work on it");
  if (fs::exists(paths_.head)) {
    const std::string found = to_json(read_head(paths_.head));
    if (found != to_json(head)) {
      throw clipon::Error(clipon::ErrorCode::invalid_argument, folder + ": index: expected one made by " +
                                                                   summary(head) + ", found one by " +
                                                                   summary(read_head(paths_.head)));
    }
  } else {
    refuse_rows_without_head(folder);
    const std::string json = to_json(head);
    fs::remove(paths_.head + ".new");  // a killed writer's may be longer, and nothing cuts it
    write_at(paths_.head + ".new", 0, json.data(), json.size());
    rename_over(paths_.head + ".new", paths_.head);
  }
  finish_replacing();
  cut_to_whole_rows(folder);
}

// A head is on the disk before rows are, so what is here was made by something that can't be told any more.
void IndexWriter::refuse_rows_without_head(const std::string& folder) const {
  const bool rows = size_of_file(paths_.rows) > 0 || size_of_file(paths_.vectors) > kNpyHeaderBytes;
  if (!rows && !fs::exists(paths_.replacing)) return;
  throw clipon::Error(clipon::ErrorCode::bad_value,
                      folder +
                          ": index: expected index.json, which tells what made the rows, found rows without it "
                          "(remove the folder to begin anew)");
}

void IndexWriter::append(const std::vector<IndexRow>& rows, const clipon::VectorsView& vectors) {
  const std::uint64_t n = rows_.size();
  write_at(paths_.vectors, kNpyHeaderBytes + n * head_.row_bytes(), vectors.data, rows.size() * head_.row_bytes());
  if (head_.type == clipon::DataType::i8) {
    write_at(paths_.scales, kNpyHeaderBytes + n * sizeof(float), vectors.scale, rows.size() * sizeof(float));
  }
  std::string lines;
  for (const IndexRow& row : rows) lines += to_line(row);
  write_at(paths_.rows, size_of_file(paths_.rows), lines.data(), lines.size());  // from now on the rows exist
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  write_headers();
}

void IndexWriter::keep(const std::vector<bool>& wanted) {
  {
    const clipon::format::MappedFile vectors(paths_.vectors, true, "index");
    std::string data;
    std::string scales;
    std::string lines;
    std::vector<IndexRow> kept;
    const auto* row = reinterpret_cast<const char*>(vectors.bytes().data()) + kNpyHeaderBytes;
    const auto all_scales = head_.type == clipon::DataType::i8
                                ? clipon::format::read_file(paths_.scales, UINT64_MAX, "index")
                                : std::vector<std::byte>();
    for (std::size_t i = 0; i < rows_.size(); ++i, row += head_.row_bytes()) {
      if (!wanted[i]) continue;
      data.append(row, head_.row_bytes());
      lines += to_line(rows_[i]);
      kept.push_back(rows_[i]);
      if (all_scales.empty()) continue;
      const auto* scale = all_scales.data() + kNpyHeaderBytes + i * sizeof(float);
      scales.append(reinterpret_cast<const char*>(scale), sizeof(float));
    }
    rows_ = std::move(kept);
    write_at(paths_.vectors + ".new", kNpyHeaderBytes, data.data(), data.size());
    if (head_.type == clipon::DataType::i8) {
      write_at(paths_.scales + ".new", kNpyHeaderBytes, scales.data(), scales.size());
    }
    write_at(paths_.rows + ".new", 0, lines.data(), lines.size());
  }
  write_at(paths_.replacing, 0, "", 0);  // from now on the new files count
  finish_replacing();
  write_headers();
}

void IndexWriter::finish_replacing() {
  const bool counts = fs::exists(paths_.replacing);
  for (const std::string& path : {paths_.vectors, paths_.scales, paths_.rows}) {
    if (counts) {
      rename_over(path + ".new", path);
    } else {
      fs::remove(path + ".new");
    }
  }
  fs::remove(paths_.replacing);
}

void IndexWriter::cut_to_whole_rows(const std::string& folder) {
  std::uint64_t rows = npy_rows(paths_.vectors, head_.row_bytes());
  if (head_.type == clipon::DataType::i8) rows = std::min(rows, npy_rows(paths_.scales, sizeof(float)));
  std::uint64_t text_bytes = 0;
  std::size_t told = 0;
  if (fs::exists(paths_.rows)) {
    const auto bytes = clipon::format::read_file(paths_.rows, UINT64_MAX, "index");
    const auto lines = whole_lines({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    told = lines.size();
    for (const auto line : lines) {
      if (rows_.size() == rows) break;
      rows_.push_back(parse_row(line, paths_.rows));
      text_bytes += line.size() + 1;
    }
  }
  write_headers();
  write_at(paths_.rows, 0, "", 0);
  cut(paths_.rows, text_bytes);
  cut(paths_.vectors, kNpyHeaderBytes + rows_.size() * head_.row_bytes());
  if (head_.type == clipon::DataType::i8) cut(paths_.scales, kNpyHeaderBytes + rows_.size() * sizeof(float));
  warn_of_missing_vectors(folder, told, rows_.size(),
                          "the others are made again where their pictures are among those named");
}

void IndexWriter::write_headers() const {
  const auto n = static_cast<std::ptrdiff_t>(rows_.size());
  const bool int8 = head_.type == clipon::DataType::i8;
  const std::string header = npy_header(int8 ? "|i1" : "<f2", {n, head_.width});
  write_at(paths_.vectors, 0, header.data(), header.size());
  if (!int8) return;
  const std::string scales = npy_header("<f4", {n});
  write_at(paths_.scales, 0, scales.data(), scales.size());
}

}  // namespace cli

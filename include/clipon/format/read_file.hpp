// A whole file into memory, as long as it is not too long.  Layer 3; called by Image::read, Model::load (memory_map =
// false) and whatever reads small files.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// An open file that closes itself; regular files only.  Throws Error io, naming the path.
class RegularFile {
 public:
  RegularFile(const std::string& path, const char* what) : path_(path), what_(what) {
    if (path.find('\0') != std::string::npos) fail("expected a path, found one with a NUL in it");
    do {
      fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not make us wait
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) fail(std::strerror(errno));
    struct stat status = {};
    if (::fstat(fd_, &status) != 0) fail_and_close(std::strerror(errno));
    if (S_ISDIR(status.st_mode)) fail_and_close("expected a regular file, found a folder");
    if (!S_ISREG(status.st_mode)) fail_and_close("expected a regular file, found a device or pipe");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  ~RegularFile() { ::close(fd_); }

  [[nodiscard]] int descriptor() const { return fd_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Throws Error `code` when the file is longer.
  void check_size(std::uint64_t max_bytes, ErrorCode code) const {
    if (size_ <= max_bytes) return;
    throw Error(code, path_ + ": " + what_ + ": expected at most " + std::to_string(max_bytes) + " bytes, found " +
                          std::to_string(size_));
  }

  /// Exactly `bytes` bytes.  Throws Error truncated when the file has become shorter.
  void read(std::byte* target, std::size_t bytes) const {
    std::size_t done = 0;
    while (done < bytes) {
      const ssize_t got = ::read(fd_, target + done, bytes - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(std::strerror(errno));
      if (got == 0) throw Error(ErrorCode::truncated, path_ + ": " + what_ + ": it became shorter while it was read");
      done += static_cast<std::size_t>(got);
    }
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorCode::io, path_ + ": " + what_ + ": " + why);
  }

 private:
  [[noreturn]] void fail_and_close(const std::string& why) {  // the destructor of a half-made object does not run
    ::close(fd_);
    fail(why);
  }

  std::string path_;
  const char* what_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// Throws Error io or truncated, and `too_large` for a file of more than max_bytes; `what` says in messages what the
/// file was meant to be.
inline std::vector<std::byte> read_file(const std::string& path, std::uint64_t max_bytes, const char* what,
                                        ErrorCode too_large = ErrorCode::limit_exceeded) {
  const RegularFile file(path, what);
  file.check_size(max_bytes, too_large);
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.size()));
  file.read(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace clipon::inline CLIPON_ABI::format

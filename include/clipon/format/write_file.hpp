// A whole file, or none.  Layer 3; called by GgufWriter and by the command's outputs.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI::format {

namespace detail {

// A name beside `path` that nobody has: another program's file, or the user's own, must not be written over.  It does
// not hold the path's own, which may be as long as names can be.
inline std::FILE* open_beside(const std::string& path, std::string& name) {
  constexpr int tries = 1000;  // as many as writers that were killed, with this one's number, may have left
  const std::string folder = path.substr(0, path.rfind('/') + 1);  // empty where there is no '/'
  std::FILE* file = nullptr;
  for (int i = 0; i < tries && file == nullptr; ++i) {
    name = folder + "clipon-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".part";
    file = std::fopen(name.c_str(), "wbex");
    if (file == nullptr && errno != EEXIST) break;
  }
  return file;
}

/// Kind and permissions of what is there, a link for itself; 0 where nothing is.
inline mode_t mode_of(const std::string& path) {
  struct stat status = {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

inline bool is_replaced(mode_t mode) {
  return mode == 0 || S_ISREG(mode);
}

}  // namespace detail

/// Whether write_file puts a new file in the place of `path`, rather than writing to what is there.
inline bool is_replaced(const std::string& path) {
  return detail::is_replaced(detail::mode_of(path));
}

/// Under a temporary name, then renamed: readers see the old file or the new one, which has the old one's permissions
/// where the filesystem can.  What is there and no regular file (a device, a pipe, a symbolic link) is not replaced but
/// written to.  The body may be large, and is not copied behind the head.  Throws Error io.
inline void write_file(const std::string& path, std::span<const std::byte> head, std::span<const std::byte> body = {}) {
  if (path.find('\0') != std::string::npos) {  // the system would take what stands before it for the path
    throw Error(ErrorCode::io, path + ": can't write it: expected a path, found one with a NUL in it");
  }
  const mode_t old = detail::mode_of(path);
  const bool replace = detail::is_replaced(old);
  std::string temporary;
  std::FILE* file = replace ? detail::open_beside(path, temporary) : std::fopen(path.c_str(), "wbe");
  if (file == nullptr) throw Error(ErrorCode::io, path + ": can't write it: " + std::strerror(errno));
  if (replace && old != 0) static_cast<void>(::fchmod(::fileno(file), old & 0777u));
  const auto put = [file](std::span<const std::byte> part) {  // an empty one may lie at null, which fwrite must not get
    return part.empty() || std::fwrite(part.data(), 1, part.size(), file) == part.size();
  };
  const bool whole = put(head) && put(body);
  const bool closed = std::fclose(file) == 0;
  if (whole && closed && (!replace || std::rename(temporary.c_str(), path.c_str()) == 0)) return;
  const std::string why = std::strerror(errno);
  if (replace) std::remove(temporary.c_str());
  throw Error(ErrorCode::io, path + ": can't write it: " + why);
}

}  // namespace clipon::inline CLIPON_ABI::format

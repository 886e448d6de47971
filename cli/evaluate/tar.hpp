// What a .tar archive holds and where, so that its pictures can be read in any order and on many threads (a library
// that streams archives could not).  POSIX ustar with GNU's and pax's long names; only regular files are listed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cli {

struct TarEntry {
  std::string name;
  std::uint64_t offset = 0;  // of its bytes in the archive
  std::uint64_t size = 0;
};

/// Throws clipon::Error io, or bad_value where the archive is cut off or none.
std::vector<TarEntry> list_tar(const std::string& path);

}  // namespace cli

// What a .tar archive holds and where, so that its pictures can be read in any order and on many threads (a library
// that streams archives could not).  POSIX ustar with GNU's and pax's long names; only regular files are listed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cli {

struct TarEntry {
  std::string name;
  std::uint64_t offset = 0;  // of its bytes in the archive
  std::uint64_t size = 0;
};

/// Of an archive's bytes; `path` is for messages.  Throws clipon::Error bad_value where it is cut off or none.
std::vector<TarEntry> list_tar(std::span<const std::byte> archive, const std::string& path);

}  // namespace cli

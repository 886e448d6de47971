// The bytes of a file, read-only: mapped, or read into memory.  Layer 3; called by Model::load,
// and by the command for its indexes and archives.
//
// A mapping is fast and shared between processes, but a file that another process shortens while it is being loaded
// ends the program with SIGBUS; LoadOptions::memory_map = false is immune to that.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "clipon/core/aligned.hpp"
#include "clipon/core/huge_pages.hpp"
#include "clipon/error.hpp"
#include "clipon/format/read_file.hpp"
#include "clipon/parallel/parallel_for.hpp"

namespace clipon::inline CLIPON_ABI::format {

class MappedFile {
 public:
  /// Throws Error io, naming the path: missing, unreadable, not a regular file (FIFO, device, folder: refused at once).
  /// limit_exceeded: it is longer than max_bytes.
  explicit MappedFile(const std::string& path, bool memory_map = true, const char* what = "model file",
                      std::uint64_t max_bytes = ~std::uint64_t{0}) {
    const RegularFile file(path, what);
    file.check_size(max_bytes, ErrorCode::limit_exceeded);
    size_ = static_cast<std::size_t>(file.size());
    if (size_ == 0) return;
    if (memory_map) {
      void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
      if (address == MAP_FAILED) file.fail(std::strerror(errno));
      ask_for_huge_pages(address, size_);
      data_ = static_cast<const std::byte*>(address);
      mapped_ = true;
    } else {
      owned_ = AlignedBuffer<std::byte>(size_);
      file.read(owned_.data(), size_);
      data_ = owned_.data();
    }
  }

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (mapped_) ::munmap(const_cast<std::byte*>(data_), size_);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// For a file that has been read, before it goes: munmap alone takes one thread 12 ms for 300 MB of small pages.
  void drop_pages(parallel::Threads threads) const {
    constexpr index_t part = index_t{8} << 20;
    if (!mapped_) return;
    const auto size = static_cast<index_t>(size_);
    parallel::parallel_for(threads, (size + part - 1) / part, [&](index_t i) {
      auto* const first = const_cast<std::byte*>(data_) + i * part;
      static_cast<void>(::madvise(first, static_cast<std::size_t>(std::min(part, size - i * part)), MADV_DONTNEED));
    });
  }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool mapped_ = false;
  AlignedBuffer<std::byte> owned_;
};

}  // namespace clipon::inline CLIPON_ABI::format

#include <clipon/core/aligned.hpp>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <unistd.h>
#endif

#include "support.hpp"

namespace {

template <class T>
bool aligned_to(const T* pointer, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

#if defined(__linux__)
// The flags of the mapping that holds an address: /proc/self/smaps, VmFlags; "hg" says that huge pages were asked for.
std::string mapping_flags(std::uintptr_t address) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long first = 0;
    unsigned long long last = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &first, &last) == 2) {
      inside = first <= address && address < last;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line + " ";
    }
  }
  return {};
}
#endif

}  // namespace

TEST_CASE("a buffer begins on a cache line, a large one on a huge page where asked to") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}, clipon::kLeastHuge - 1}) {
    const clipon::AlignedBuffer<unsigned char> buffer(size);
    CHECK(aligned_to(buffer.data(), clipon::kAlignment));
    CHECK(buffer.size() == size);
    const clipon::AlignedBuffer<unsigned char> huge(size, clipon::Pages::huge);
    CHECK(aligned_to(huge.data(), clipon::kAlignment));
  }
  clipon::AlignedBuffer<float> large(clipon::kLeastHuge / sizeof(float), clipon::Pages::huge);
  CHECK((clipon::kExactEnds || aligned_to(large.data(), clipon::kHugePage)));
  large[large.size() - 1] = 3.0f;
  clipon::AlignedBuffer<float> small(3);
  small = std::move(large);  // the deleter goes with its memory: another alignment
  CHECK(small[small.size() - 1] == 3.0f);
}

#if defined(__linux__)
TEST_CASE("huge pages are asked for where the kernel knows them") {
  if (clipon::kExactEnds || !std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled")) return;
  const clipon::AlignedBuffer<unsigned char> large(clipon::kLeastHuge + 1, clipon::Pages::huge);
  const std::string flags = mapping_flags(reinterpret_cast<std::uintptr_t>(large.data()));
  CAPTURE(flags);
  CHECK(flags.find(" hg ") != std::string::npos);
}
#endif

#if defined(__GLIBC__) && !defined(CLIPON_ADDRESS_SANITIZER)
TEST_CASE("freed memory serves the next buffer of the same size") {
  constexpr std::size_t size = std::size_t{3} << 20;
  constexpr int rounds = 12;
  mallopt(M_MMAP_THRESHOLD, 1 << 25);  // as it is by itself in a process that has freed a large block
  const auto free_bytes = [] { return mallinfo2().fordblks; };
  const std::size_t before = free_bytes();
  std::vector<std::vector<int>> kept;  // what a layer keeps lies between the buffers that it was made from
  for (int i = 0; i < rounds; ++i) {
    const clipon::AlignedBuffer<unsigned char> buffer(size);
    kept.emplace_back(100);
  }
  CHECK(free_bytes() < before + 2 * size);
}
#endif

#if defined(CLIPON_MAPS_HUGE_PAGES) && !defined(CLIPON_ADDRESS_SANITIZER)
TEST_CASE("memory on huge pages goes back to the system whole") {
  const auto mapped = [] {
    std::ifstream statm("/proc/self/statm");
    std::size_t pages = 0;
    statm >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  };
  constexpr std::size_t size = 16 * clipon::kHugePage;
  const std::size_t before = mapped();
  clipon::AlignedBuffer<unsigned char> large(size - 1, clipon::Pages::huge);
  const auto inside = reinterpret_cast<std::uintptr_t>(large.data()) + size / 2;
  CHECK_FALSE(mapping_flags(inside).empty());
  CHECK(mapped() == before + size);  // what alignment took has gone back already
  large = {};
  CHECK(mapping_flags(inside).empty());
  CHECK(mapped() == before);
}
#endif

// malloc and read of this program, wrapped.  glibc looks up both in the executable first, so libraries (libjpeg-turbo,
// libstdc++) come here too.
#include "memory.hpp"

#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLIPON_TRUST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CLIPON_TRUST_SANITIZED 1
#endif
#endif

namespace {

std::atomic<std::size_t> used{0};
std::atomic<std::size_t> most{0};

thread_local std::uint64_t asked = 0;
thread_local std::uint64_t failing = 0;
thread_local bool all_later = false;

std::atomic<int> reading{0};
std::atomic<std::uint64_t> reads_left{0};

bool must_fail() {
  ++asked;
  return failing != 0 && (asked == failing || (all_later && asked > failing));
}

}  // namespace

namespace memory {

std::size_t in_use() {
  return used;
}
std::size_t peak() {
  return most;
}
void reset_peak() {
  most = used.load();
}
void fail_at(std::uint64_t n, bool from_then_on) {
  failing = n;
  all_later = from_then_on;
  asked = 0;
}
std::uint64_t allocations() {
  return asked;
}
void read_as(Reading how, std::uint64_t n) {
  reads_left = n;
  reading = static_cast<int>(how);
}

}  // namespace memory

extern "C" ssize_t read(int fd, void* buffer, size_t bytes) {
  const auto how = static_cast<memory::Reading>(reading.load());
  if (how != memory::Reading::normal && (reads_left <= 1 || reads_left-- == 1)) {
    if (how == memory::Reading::broken) {
      errno = EIO;
      return -1;
    }
    if (how == memory::Reading::interrupted) {
      reading = static_cast<int>(memory::Reading::one_byte);  // once, then on
      errno = EINTR;
      return -1;
    }
    if (bytes > 1) bytes = 1;
  }
  return syscall(SYS_read, fd, buffer, bytes);
}

#if defined(CLIPON_TRUST_SANITIZED)

bool memory::counts() {
  return false;
}

void* operator new(std::size_t bytes) {
  void* block = must_fail() ? nullptr : std::malloc(bytes != 0 ? bytes : 1);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return must_fail() ? nullptr : std::malloc(bytes != 0 ? bytes : 1);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto a = static_cast<std::size_t>(alignment);
  void* block = must_fail() ? nullptr : std::aligned_alloc(a, (bytes + a - 1) / a * a);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
  std::free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  std::free(block);
}

#else

bool memory::counts() {
  return true;
}

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t n, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

static void* counted(void* block) {
  if (block == nullptr) return nullptr;
  const std::size_t now = used += malloc_usable_size(block);
  std::size_t before = most;
  while (now > before && !most.compare_exchange_weak(before, now)) {
  }
  return block;
}
static void* refused() {
  errno = ENOMEM;
  return nullptr;
}

void* malloc(size_t bytes) {
  return must_fail() ? refused() : counted(__libc_malloc(bytes));
}
void* calloc(size_t n, size_t bytes) {
  return must_fail() ? refused() : counted(__libc_calloc(n, bytes));
}
void* realloc(void* block, size_t bytes) {
  if (must_fail()) return refused();
  const std::size_t before = block != nullptr ? malloc_usable_size(block) : 0;
  void* grown = __libc_realloc(block, bytes);
  if (grown == nullptr && bytes != 0) return nullptr;
  used -= before;
  return counted(grown);
}
void* memalign(size_t alignment, size_t bytes) {
  return must_fail() ? refused() : counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return memalign(alignment, bytes);
}
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) {
  if (block == nullptr) return;
  used -= malloc_usable_size(block);
  __libc_free(block);
}

}  // extern "C"

#endif

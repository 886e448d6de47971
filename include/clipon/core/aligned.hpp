// Memory aligned for the widest SIMD register and for AMX tiles.  Layer 0.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "clipon/core/config.hpp"
#include "clipon/core/huge_pages.hpp"

namespace clipon::inline CLIPON_ABI {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 register, one row of an AMX tile

/// The next multiple, for sizes in memory; what comes from a file goes through checked::round_up.
template <class Size>
constexpr Size round_up(Size bytes, std::size_t multiple) {
  const auto step = static_cast<Size>(multiple);
  return (bytes + step - 1) / step * step;
}

/// Whether an allocation must end exactly where its contents do, so that AddressSanitizer sees an access past them.
#if defined(CLIPON_ADDRESS_SANITIZER)
constexpr bool kExactEnds = true;
#else
constexpr bool kExactEnds = false;
#endif

/// An owned, uninitialised, 64-byte aligned array of a trivial type.  Where huge pages are asked for, it lies on them
/// from kLeastHuge bytes on.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size, Pages pages = Pages::usual) : size_(size) {
    if (size > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    if (size > 0) data_ = allocate(size * sizeof(T), pages);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, std::size_t{0})) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, std::size_t{0});
    return *this;
  }

  [[nodiscard]] T* data() noexcept { return data_.get(); }
  [[nodiscard]] const T* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }

 private:
  struct Free {
    void* memory = nullptr;      // what it was cut from
    std::size_t huge_bytes = 0;  // of huge pages; 0: it came from operator new
    void operator()(T*) const noexcept {
      if (huge_bytes > 0) {
        give_back_huge_pages(memory, huge_bytes);
      } else if constexpr (kExactEnds) {
        ::operator delete (memory, std::align_val_t{kAlignment});
      } else {
        ::operator delete(memory);
      }
    }
  };
  using Array = std::unique_ptr<T, Free>;

  static Array allocate(std::size_t bytes, Pages pages) {
    if (!kExactEnds && pages == Pages::huge && bytes >= kLeastHuge) {
      bytes = round_up(bytes, kHugePage);
      void* const memory = take_huge_pages(bytes);
      return {static_cast<T*>(memory), Free{memory, bytes}};
    }
    if (!kExactEnds) return allocate_aligned_here(bytes);
    void* const memory = ::operator new (bytes, std::align_val_t{kAlignment});
    return {static_cast<T*>(memory), Free{memory, 0}};
  }

  // An aligned block is cut out of a larger one by glibc, which does not find it large enough for the next request of
  // the same size: loading ViT-B/32 in bf16 left 50 MB of such blocks behind.  So the array is aligned here.
  static Array allocate_aligned_here(std::size_t bytes) {
    std::size_t space = bytes + kAlignment;
    void* const memory = ::operator new(space);
    void* start = memory;
    return {static_cast<T*>(std::align(kAlignment, bytes, start, space)), Free{memory, 0}};
  }

  Array data_;
  std::size_t size_ = 0;
};

}  // namespace clipon::inline CLIPON_ABI

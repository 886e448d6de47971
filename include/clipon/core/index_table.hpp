// Which of a list's elements has a key: a hash table of their indices.  Layer 0; used by the tokenizer's tables.
// The elements stay with the caller, who compares them; so a lookup mostly costs one access to memory.  Open
// addressing, linear probing (Knuth, The Art of Computer Programming 3, 6.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

class IndexTable {
 public:
  static constexpr std::int32_t kNone = -1;

  /// Room for n elements; with more it grows.
  void reserve(std::size_t n) {
    std::size_t size = kLeastSlots;
    while (size < 2 * n) size *= 2;
    if (size > slots_.size()) place_in(size);
  }

  /// The index among those of this hash of which is_it(index) is true, or kNone.
  template <class IsIt>
  [[nodiscard]] std::int32_t find(std::size_t hash, const IsIt& is_it) const {
    if (slots_.empty()) return kNone;
    const auto mark = static_cast<std::uint32_t>(hash);
    for (std::size_t at = first(mark); slots_[at].index != kNone; at = next(at)) {
      if (slots_[at].mark == mark && is_it(slots_[at].index)) return slots_[at].index;
    }
    return kNone;
  }

  /// index: not negative, of an element that has no equal here.
  void add(std::size_t hash, std::int32_t index) {
    if (slots_.size() < 2 * ++count_) reserve(count_);
    put({static_cast<std::uint32_t>(hash), index});
  }

 private:
  static constexpr std::size_t kLeastSlots = 16;

  struct Slot {
    std::uint32_t mark = 0;  // of its element's hash
    std::int32_t index = kNone;
  };

  [[nodiscard]] std::size_t first(std::uint32_t mark) const { return mark & (slots_.size() - 1); }
  [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }

  void put(const Slot& slot) {
    std::size_t at = first(slot.mark);
    while (slots_[at].index != kNone) at = next(at);
    slots_[at] = slot;
  }

  void place_in(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.index != kNone) put(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two, at least twice as many as elements
  std::size_t count_ = 0;
};

}  // namespace clipon::inline CLIPON_ABI

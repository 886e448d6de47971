// A hash for tables whose keys come from a file.  Layer 0; used by the tokenizer's tables.
//
// Who knows a hash can choose keys that all meet in one bucket, and a table of a million of them takes hours: the
// identity that std::hash is for integers, and MurmurHash for strings, both fall to it.  This one is mixed with
// numbers that a file can't know.  Nothing but the time that a lookup takes depends on them.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

class KeyedHash {
 public:
  KeyedHash() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    const auto here = reinterpret_cast<std::uintptr_t>(this);  // random where the system randomises addresses
    start_ = fold(static_cast<std::uint64_t>(now) ^ 0x9e3779b97f4a7c15u, here ^ 0xbf58476d1ce4e5b9u);
    secret_ = fold(start_ ^ here, 0x94d049bb133111ebu) | 1u;
  }

  std::size_t operator()(std::uint64_t key) const { return mixed_again(fold(key ^ start_, secret_)); }

  std::size_t operator()(std::string_view key) const {
    std::uint64_t hash = start_ ^ key.size();
    const char* p = key.data();
    std::size_t left = key.size();
    for (; left > 8; p += 8, left -= 8) hash = fold(hash ^ load<std::uint64_t>(p), secret_);
    return mixed_again(fold(hash ^ load_part(p, left), secret_));
  }

 private:
  // Of keys that differ in their upper half alone, one product has multiples of half a secret in its low bits: with an
  // unlucky secret they stand close together.
  [[nodiscard]] std::size_t mixed_again(std::uint64_t hash) const {
    return static_cast<std::size_t>(fold(hash ^ start_, secret_ ^ 0x9e3779b97f4a7c15u));
  }

  template <class Word>
  static std::uint64_t load(const char* p) {
    Word word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
  }

  // n bytes, 8 at most, in loads of fixed size, which may overlap.
  static std::uint64_t load_part(const char* p, std::size_t n) {
    if (n >= 4) return load<std::uint32_t>(p) | (load<std::uint32_t>(p + n - 4) << 32);
    if (n >= 2) return load<std::uint16_t>(p) | (load<std::uint16_t>(p + n - 2) << 16);
    return n == 1 ? load<std::uint8_t>(p) : 0;
  }

  // Both halves of the 128-bit product, so that every bit of a reaches every bit of the result (Wang Yi, wyhash).
  static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t mask = 0xffffffffu;
    const std::uint64_t low = (a & mask) * (b & mask);
    const std::uint64_t left = (a >> 32) * (b & mask) + (low >> 32);
    const std::uint64_t right = (a & mask) * (b >> 32) + (left & mask);
    const std::uint64_t high = (a >> 32) * (b >> 32) + (left >> 32) + (right >> 32);
    return high ^ ((right << 32) | (low & mask));
  }

  std::uint64_t start_ = 0;
  std::uint64_t secret_ = 0;
};

}  // namespace clipon::inline CLIPON_ABI

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
  using is_transparent = void;

  KeyedHash() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    const auto here = reinterpret_cast<std::uintptr_t>(this);  // random where the system randomises addresses
    start_ = fold(static_cast<std::uint64_t>(now) ^ 0x9e3779b97f4a7c15u, here ^ 0xbf58476d1ce4e5b9u);
    secret_ = fold(start_ ^ here, 0x94d049bb133111ebu) | 1u;
  }

  std::size_t operator()(std::uint64_t key) const { return static_cast<std::size_t>(fold(key ^ start_, secret_)); }

  std::size_t operator()(std::string_view key) const {
    std::uint64_t hash = start_ ^ key.size();
    for (; key.size() > 8; key.remove_prefix(8)) hash = fold(hash ^ word(key, 8), secret_);
    return static_cast<std::size_t>(fold(hash ^ word(key, key.size()), secret_));
  }

 private:
  static std::uint64_t word(std::string_view s, std::size_t n) {
    std::uint64_t value = 0;
    std::memcpy(&value, s.data(), n);
    return value;
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

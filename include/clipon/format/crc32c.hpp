// CRC32C (Castagnoli), the checksum of each tensor's bytes in a clipon file (docs/model_format.md).  Layer 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "clipon/core/crc.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace clipon::inline CLIPON_ABI::format {

constexpr std::uint32_t kCastagnoli = 0x82f63b78u;  // reflected

// The product of two polynomials modulo that of the checksum, bits reflected.
constexpr std::uint32_t crc32c_product(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  for (; a != 0; a <<= 1) {
    if ((a & 0x80000000u) != 0) sum ^= b;
    b = (b >> 1) ^ ((b & 1u) != 0 ? kCastagnoli : 0u);
  }
  return sum;
}

/// x^(8 bytes).  Its product with a checksum is that after so many zero bytes more; so the checksum of two pieces, one
/// after the other, is crc32c_product(crc32c_power(bytes of the second), the first's) ^ the second's.
constexpr std::uint32_t crc32c_power(std::uint64_t bytes) {
  constexpr auto squares = [] {
    std::array<std::uint32_t, 64> powers{};  // x^8, x^16, x^32, ...
    std::uint32_t power = 0x00800000u;
    for (std::uint32_t& next : powers) {
      next = power;
      power = crc32c_product(power, power);
    }
    return powers;
  }();
  std::uint32_t result = 0x80000000u;  // 1
  for (const std::uint32_t square : squares) {
    if ((bytes & 1u) != 0) result = crc32c_product(square, result);
    bytes >>= 1;
  }
  return result;
}

#if defined(__x86_64__)
inline std::uint64_t crc32c_word(const unsigned char* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, 8);
  return word;
}

// The CRC32 instruction of SSE4.2 computes this very polynomial.  It takes three cycles and one can start in each, so
// three parts of `third` bytes go side by side, as long as there are three; p and n are moved on.
template <std::size_t third>
__attribute__((target("sse4.2"))) inline std::uint32_t crc32c_thirds(std::uint32_t crc, const unsigned char*& p,
                                                                     std::size_t& n) {
  constexpr std::uint32_t past_one = crc32c_power(third);
  constexpr std::uint32_t past_two = crc32c_power(2 * third);
  for (; n >= 3 * third; p += 3 * third, n -= 3 * third) {
    std::uint64_t a = crc;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    for (std::size_t i = 0; i < third; i += 8) {
      a = _mm_crc32_u64(a, crc32c_word(p + i));
      b = _mm_crc32_u64(b, crc32c_word(p + third + i));
      c = _mm_crc32_u64(c, crc32c_word(p + 2 * third + i));
    }
    crc = crc32c_product(past_two, static_cast<std::uint32_t>(a)) ^
          crc32c_product(past_one, static_cast<std::uint32_t>(b)) ^ static_cast<std::uint32_t>(c);
  }
  return crc;
}

__attribute__((target("sse4.2"))) inline std::uint32_t crc32c_sse42(std::uint32_t crc, const unsigned char* p,
                                                                    std::size_t n) {
  crc = crc32c_thirds<8192>(crc, p, n);  // joining them takes some 200 cycles
  crc = crc32c_thirds<1024>(crc, p, n);
  std::uint64_t state = crc;
  for (; n >= 8; p += 8, n -= 8) state = _mm_crc32_u64(state, crc32c_word(p));
  auto narrow = static_cast<std::uint32_t>(state);
  for (; n > 0; ++p, --n) narrow = _mm_crc32_u8(narrow, *p);
  return narrow;
}
#endif

inline std::uint32_t crc32c(std::span<const std::byte> bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~crc32c_sse42(~0u, p, bytes.size());
#endif
  return ~crc_by_tables<kCastagnoli>(~0u, p, bytes.size());
}

}  // namespace clipon::inline CLIPON_ABI::format

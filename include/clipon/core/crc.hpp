// Checksums by cyclic redundancy, 32 bits, reflected: eight bytes a step, by tables.  Layer 0; used by
// format/crc32c.hpp and image/png.hpp, which name the polynomials.  Kounavis and Berry 2005 ("slicing by 8").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

// Table k advances a byte by k further zero bytes, so eight bytes can be looked up at once.
template <std::uint32_t polynomial>
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_crc_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? polynomial : 0u);
    table[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t k = 1; k < 8; ++k) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xffu];
  }
  return table;
}

/// The remainder `crc` after n more bytes.  A checksum starts with all bits set and is inverted at the end.
template <std::uint32_t polynomial>
std::uint32_t crc_by_tables(std::uint32_t crc, const unsigned char* p, std::size_t n) {
  static constexpr auto table = make_crc_tables<polynomial>();
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, 8);
    word ^= crc;
    crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^ table[5][(word >> 16) & 0xff] ^
          table[4][(word >> 24) & 0xff] ^ table[3][(word >> 32) & 0xff] ^ table[2][(word >> 40) & 0xff] ^
          table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
  }
  for (; n > 0; ++p, --n) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xffu];
  return crc;
}

}  // namespace clipon::inline CLIPON_ABI

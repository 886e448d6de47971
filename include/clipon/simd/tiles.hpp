// Tiles<native>: eight registers of up to 16 rows of 64 bytes and products of them, as AMX has them; or the same in
// plain C++, exact to the bit, so that code for tiles is tested on every machine.  Layer 1; per ISA. Intel 64 and IA-32
// Architectures Software Developer's Manual, volume 2: LDTILECFG, TILELOADD, TDPBF16PS, TDPBUSD.
#pragma once

#include <cmath>
#include <cstring>

#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::simd {

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64;  // of a row: 16 sums, 32 bf16 or 64 bytes
constexpr int kTiles = 8;

// Tiles 0 .. 3 are sums, two by two; 4 and 5 are their left sides, all of as many rows as configure() says; 6 and 7 are
// their right sides, of 16 rows.
CLIPON_ALWAYS_INLINE constexpr int left_of(int sums) {
  return 4 + sums / 2;
}
CLIPON_ALWAYS_INLINE constexpr int right_of(int sums) {
  return 6 + sums % 2;
}
CLIPON_ALWAYS_INLINE constexpr int rows_of(int tile, int height) {
  return tile < 6 ? height : kTileRows;
}

template <bool native>
struct Tiles;

/// The emulation.
template <>
struct Tiles<false> {
  int rows[kTiles] = {};
  unsigned char data[kTiles][kTileRows][kTileBytes] = {};

  void configure(int height) {
    *this = {};
    for (int t = 0; t < kTiles; ++t) rows[t] = rows_of(t, height);
  }
  void release() { *this = {}; }
  template <int t>
  void zero() {
    std::memset(data[t], 0, sizeof data[t]);
  }
  template <int t>
  void load(const unsigned char* p, index_t stride) {
    zero<t>();
    for (int r = 0; r < rows[t]; ++r) std::memcpy(data[t][r], p + r * stride, kTileBytes);
  }
  /// The same of what is not wanted again soon.
  template <int t>
  void load_once(const unsigned char* p, index_t stride) {
    load<t>(p, stride);
  }
  template <int t>
  void store(unsigned char* p, index_t stride) const {
    for (int r = 0; r < rows[t]; ++r) std::memcpy(p + r * stride, data[t][r], kTileBytes);
  }
  /// Sums of tile c [rows, 16] += left [rows, 32] right [16 pairs, 16 columns, 2]: even and odd products in a chain
  /// each, which start at 0 and are added to the sum together.
  template <int c>
  void add_bf16() {
    for (int r = 0; r < rows[c]; ++r) {
      for (int n = 0; n < 16; ++n) {
        float chain[2] = {};
        for (int k = 0; k < 16; ++k) {
          for (int i = 0; i < 2; ++i) {
            const float a = bf16_to_float(at<std::uint16_t>(left_of(c), r, 2 * k + i));
            chain[i] = std::fma(a, bf16_to_float(at<std::uint16_t>(right_of(c), k, 2 * n + i)), chain[i]);
          }
        }
        set(c, r, n, at<float>(c, r, n) + (chain[0] + chain[1]));
      }
    }
  }
  /// The same of left bytes, unsigned [rows, 64], and right ones, signed [16 fours, 16 columns, 4].
  template <int c>
  void add_i8() {
    for (int r = 0; r < rows[c]; ++r) {
      for (int n = 0; n < 16; ++n) {
        std::int32_t sum = at<std::int32_t>(c, r, n);
        for (int k = 0; k < kTileBytes; ++k) {
          sum += at<std::uint8_t>(left_of(c), r, k) * at<std::int8_t>(right_of(c), k / 4, 4 * n + k % 4);
        }
        set(c, r, n, sum);
      }
    }
  }

 private:
  template <class T>
  [[nodiscard]] T at(int tile, int row, int i) const {
    T value;
    std::memcpy(&value, data[tile][row] + i * static_cast<int>(sizeof(T)), sizeof value);
    return value;
  }
  template <class T>
  void set(int tile, int row, int i, T value) {
    std::memcpy(data[tile][row] + i * static_cast<int>(sizeof(T)), &value, sizeof value);
  }
};

#if defined(CLIPON_COMPILED_AMX)
/// The registers themselves.  By asm of our own: g++ 12's intrinsics take no template arguments for the tile, and don't
/// say that they read and write memory, so that stores before a load of a tile may be dropped.
template <>
struct Tiles<true> {
  // CLIPON_ALWAYS_INLINE: a tile's contents live from one call to the next.
  CLIPON_ALWAYS_INLINE void configure(int height) {
    struct alignas(64) Config {
      std::uint8_t palette = 1;
      std::uint8_t start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } config;
    static_assert(sizeof(Config) == 64);
    for (int t = 0; t < kTiles; ++t) {
      config.bytes[t] = kTileBytes;
      config.rows[t] = static_cast<std::uint8_t>(rows_of(t, height));
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
  }
  CLIPON_ALWAYS_INLINE void release() { __asm__ volatile("tilerelease" : : : "memory"); }
  template <int t>
  CLIPON_ALWAYS_INLINE void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(t) : "memory");
  }
  template <int t>
  CLIPON_ALWAYS_INLINE void load(const unsigned char* p, index_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(t) : "memory");
  }
  template <int t>
  CLIPON_ALWAYS_INLINE void load_once(const unsigned char* p, index_t stride) {
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(t) : "memory");
  }
  template <int t>
  CLIPON_ALWAYS_INLINE void store(unsigned char* p, index_t stride) const {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(t) : "memory");
  }
  template <int c>
  CLIPON_ALWAYS_INLINE void add_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(left_of(c)), "i"(right_of(c)) : "memory");
  }
  template <int c>
  CLIPON_ALWAYS_INLINE void add_i8() {  // unsigned by signed
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(left_of(c)), "i"(right_of(c)) : "memory");
  }
};
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

// Up to 32 rows of A against a panel of 32 columns of W, on tiles (AMX): bf16 and int8.  Called by gemm_tiles.hpp.
// Per ISA.
//
// The sums are two by two tiles, so that each tile that is loaded is multiplied twice.  The rows are in two halves of
// the same height, which is what the tiles are configured for; if the rows are not twice that height, the halves
// overlap, and the rows in the middle are computed twice, with the same result.
//
// On an Emerald Rapids a step of depth takes 64 cycles where all comes from L1, and 95 where A and W come from L2.
// Blocks of depth that keep W in L1 save no time: loading and storing the sums takes as long as they save.
#pragma once

#include <cstring>
#if defined(__AVX512BW__)
#include <immintrin.h>
#endif

#include "clipon/kernels/micro/gemm_tile_size.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/tiles.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

constexpr index_t kPairRows = 2 * simd::kTileRows;            // of A
constexpr index_t kPanelStep = kTilePanel * 4;                // bytes of a step of it, and of a row of sums
constexpr index_t kPanelTile = simd::kTileRows * kPanelStep;  // bytes of the steps that a tile holds

template <class Tiles, DataType type, int c>
CLIPON_ALWAYS_INLINE void add_tile(Tiles& tiles) {
  if constexpr (type == DataType::bf16) {
    tiles.template add_bf16<c>();
  } else {
    tiles.template add_i8<c>();
  }
}

struct TilePair {
  const unsigned char* a = nullptr;  // [rows, depth], rows `stride` bytes apart
  index_t stride = 0;
  index_t parts = 1;       // of a row of A, `part_stride` bytes apart
  index_t part_steps = 0;  // whole tiles along the depth of a part
  index_t part_stride = 0;
  index_t rows = 0;
  index_t lower = 0;                     // the row where the second half starts
  const unsigned char* panel = nullptr;  // [steps][16][32] of 32 bits
  index_t steps = 0;                     // whole tiles along the depth, of all parts
  index_t left = 0;                      // bytes of a row of A past those
  const unsigned char* last = nullptr;   // the panel's tile for those, zeros at its end
  unsigned char* sums = nullptr;         // [rows, 32] of 32 bits, rows `sums_stride` bytes apart
  index_t sums_stride = kPanelStep;
  const unsigned char* next = nullptr;  // from here on so many lines a step are prefetched: the panel after this one
  index_t lines = 0;
};

/// Of A.  Windows overlap: the next steps load most of the same lines, which must stay in L1.
template <bool again, int tile, class Tiles>
CLIPON_ALWAYS_INLINE void load_left(Tiles& tiles, const unsigned char* from, index_t stride) {
  if constexpr (again) {
    tiles.template load<tile>(from, stride);
  } else {
    tiles.template load_once<tile>(from, stride);
  }
}

/// One step of depth.  `columns` is of tiles; `two`: there is a second half; `again`: A's lines are wanted again soon.
template <class Tiles, DataType type, int columns, bool two, bool again>
CLIPON_ALWAYS_INLINE void add_step(Tiles& tiles, const unsigned char* upper, const unsigned char* lower, index_t stride,
                                   const unsigned char* right) {
  load_left<again, simd::left_of(0)>(tiles, upper, stride);
  tiles.template load<simd::right_of(0)>(right, kPanelStep);
  add_tile<Tiles, type, 0>(tiles);
  if constexpr (columns > 1) {
    tiles.template load<simd::right_of(1)>(right + simd::kTileBytes, kPanelStep);
    add_tile<Tiles, type, 1>(tiles);
  }
  if constexpr (two) {
    load_left<again, simd::left_of(2)>(tiles, lower, stride);
    add_tile<Tiles, type, 2>(tiles);
    if constexpr (columns > 1) add_tile<Tiles, type, 3>(tiles);
  }
}

template <class Tiles, int columns, bool two>
CLIPON_ALWAYS_INLINE void store_sums(const Tiles& tiles, const TilePair& pair) {
  unsigned char* below = pair.sums + pair.lower * pair.sums_stride;
  tiles.template store<0>(pair.sums, pair.sums_stride);
  if constexpr (columns > 1) tiles.template store<1>(pair.sums + simd::kTileBytes, pair.sums_stride);
  if constexpr (two) tiles.template store<2>(below, pair.sums_stride);
  if constexpr (two && columns > 1) tiles.template store<3>(below + simd::kTileBytes, pair.sums_stride);
}

/// The ends of rows, of `bytes` less than a tile's row each: to [rows, kTileBytes], zeros behind them.  A whole line at
/// a time where that can be, since the tile that is loaded next waits for smaller stores.
CLIPON_ALWAYS_INLINE void copy_ends(const unsigned char* from, index_t stride, index_t rows, index_t bytes,
                                    unsigned char* to) {
  for (index_t r = 0; r < rows; ++r, from += stride, to += simd::kTileBytes) {
#if defined(__AVX512BW__)
    _mm512_store_si512(to, _mm512_maskz_loadu_epi8((std::uint64_t{1} << bytes) - 1, from));
#else
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
    std::memset(to + bytes, 0, static_cast<std::size_t>(simd::kTileBytes - bytes));
#endif
  }
}

/// between() runs after each step.
template <class Tiles, DataType type, int columns, bool two, bool again, class Between>
inline void multiply_pair(Tiles& tiles, const TilePair& pair, const Between& between) {
  tiles.template zero<0>();
  tiles.template zero<1>();
  tiles.template zero<2>();
  tiles.template zero<3>();
  const unsigned char* right = pair.panel;
  const unsigned char* next = pair.next;
  for (index_t part = 0; part < pair.parts; ++part) {
    const unsigned char* upper = pair.a + part * pair.part_stride;
    const unsigned char* lower = upper + pair.lower * pair.stride;
    for (index_t k = 0; k < pair.part_steps; ++k) {
      for (index_t i = 0; i < pair.lines; ++i, next += 64) __builtin_prefetch(next, 0, 2);  // into L2
      add_step<Tiles, type, columns, two, again>(tiles, upper, lower, pair.stride, right);
      between();
      upper += simd::kTileBytes;
      lower += simd::kTileBytes;
      right += kPanelTile;
    }
  }
  if (pair.left > 0) {  // depth that fills no whole tile; of one part
    const unsigned char* upper = pair.a + pair.steps * simd::kTileBytes;
    alignas(64) unsigned char padded[kPairRows * simd::kTileBytes];
    copy_ends(upper, pair.stride, pair.rows, pair.left, padded);
    const unsigned char* half = padded + pair.lower * simd::kTileBytes;
    add_step<Tiles, type, columns, two, true>(tiles, padded, half, simd::kTileBytes, pair.last);
  }
  store_sums<Tiles, columns, two>(tiles, pair);
}

/// The same for as many columns and halves as there are.
template <class Tiles, DataType type, bool again, class Between>
inline void multiply_pair(Tiles& tiles, const TilePair& pair, index_t columns, bool two, const Between& between) {
  if (two) {
    if (columns > 16) return multiply_pair<Tiles, type, 2, true, again>(tiles, pair, between);
    return multiply_pair<Tiles, type, 1, true, again>(tiles, pair, between);
  }
  if (columns > 16) return multiply_pair<Tiles, type, 2, false, again>(tiles, pair, between);
  return multiply_pair<Tiles, type, 1, false, again>(tiles, pair, between);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// Products of many rows with a few: the GEMM's panels are up to 48 columns wide and would mostly be padding.  Called by
// zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the depth, so each row is read once, at the rate of memory.  A tile has as many sums as a register
// has lanes: at the end they are added up together, a lane each.  Each output's order of additions is fixed by the
// depth alone.
//
// The rows of a tile come from equal parts of the job, far from each other: each part is read in order, front to back,
// which is what a processor's prefetchers know.  Rows side by side are two walks through the same page, and took 1.5
// times as long (Zen 4).
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// So many rows ahead, what is read next is on its way into L2: a core looks ahead no further than some hundred
// instructions, a fraction of a row here.  L1 holds the few rows; what comes that early would drive them out (1.8 times
// the time, on Zen 4).
constexpr index_t kRowsAhead = 4;
constexpr int kIntoL2 = 2;  // the builtin's "locality": prefetcht1

/// out[i * columns + c] = row i of the tile times row c of w.
template <class Arch, int columns>
inline void row_dots_tile(const RowDots& job, const float* const* row, const float* w, float* out) {
  using V = simd::F32<Arch>;
  constexpr int height = static_cast<int>(V::width) / columns;
  typename V::Batch sum[V::width];
#pragma GCC unroll 16
  for (int i = 0; i < V::width; ++i) sum[i] = V::set(0.0f);
  index_t k = 0;
  for (; k + V::width <= job.depth; k += V::width) {
    typename V::Batch own[height];
#pragma GCC unroll 16
    for (int r = 0; r < height; ++r) {
      __builtin_prefetch(row[r] + k + kRowsAhead * job.x_stride, 0, kIntoL2);
      own[r] = V::load(row[r] + k);
    }
#pragma GCC unroll 16
    for (int c = 0; c < columns; ++c) {
      auto few = V::load(w + c * job.w_stride + k);
      V::forget(few);  // g++ 12 would make each product read memory again, and loads are what bounds the tile
#pragma GCC unroll 16
      for (int r = 0; r < height; ++r) sum[r * columns + c] = V::fma(own[r], few, sum[r * columns + c]);
    }
  }
  if (const index_t left = job.depth - k; left > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < V::width; ++i) {
      const auto own = V::load_part(row[i / columns] + k, left);
      sum[i] = V::fma(own, V::load_part(w + i % columns * job.w_stride + k, left), sum[i]);
    }
  }
  V::store(out, V::sums(sum));
}

/// Columns first .. first + columns of the rows from `start` on, `rows` of them.
template <class Arch, int columns>
inline void row_dots_of(const RowDots& job, index_t start, index_t rows, index_t first) {
  constexpr int height = static_cast<int>(simd::F32<Arch>::width) / columns;
  const index_t part = (rows + height - 1) / height;
  for (index_t r = 0; r < part; ++r) {
    const float* row[height];
    float tile[simd::F32<Arch>::width];
    for (int i = 0; i < height; ++i) {  // past the end, the last row once more
      const index_t at = i * part + r < rows ? i * part + r : rows - 1;
      row[i] = job.x + (start + at) * job.x_stride;
    }
    row_dots_tile<Arch, columns>(job, row, job.w + first * job.w_stride, tile);
    for (index_t i = 0; i < height && i * part + r < rows; ++i) {
      float* out = job.out + (start + i * part + r) * job.columns + first;
      for (index_t c = 0; c < columns; ++c) out[c] = tile[i * columns + c];
    }
  }
}

// All columns from `first` on: tiles of `columns` as long as they fit, then those of half the width.
template <class Arch, int columns>
inline void row_dots_from(const RowDots& job, index_t start, index_t rows, index_t first) {
  for (; first + columns <= job.columns; first += columns) row_dots_of<Arch, columns>(job, start, rows, first);
  if constexpr (columns > 1) row_dots_from<Arch, columns / 2>(job, start, rows, first);
}

template <class Arch>
inline void row_dots(const RowDots& job) {
  constexpr int widest = simd::F32<Arch>::width > 1 ? static_cast<int>(simd::F32<Arch>::width / 2) : 1;
  // Rows that several tiles read are still in L2 for all but the first.
  constexpr index_t rows_in_l2 = 64;
  const index_t step = job.columns == widest ? job.rows : rows_in_l2;
  for (index_t start = 0; start < job.rows; start += step) {
    row_dots_from<Arch, widest>(job, start, step < job.rows - start ? step : job.rows - start, 0);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

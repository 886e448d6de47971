// Products of many rows with a few: the GEMM's panels are 48 columns wide and would mostly be padding.  Called by
// zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the depth, so each row is read once, in order, at the rate of memory.  A tile has as many sums as a
// register has lanes: at the end they are added up together, a lane each.  Each output's order of additions is fixed by
// the depth alone.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// So many rows ahead, what is read next is on its way into L2: a core looks ahead no further than some hundred
// instructions, a fraction of a row here.  L1 holds the few rows; what comes that early would drive them out (1.8 times
// the time, on Zen 4).
constexpr index_t kRowsAhead = 8;
constexpr int kIntoL2 = 2;  // the builtin's "locality": prefetcht1

/// out[r * columns + c] = row r of x times row c of w, for width / columns rows; of the rows past `rows` nothing is
/// read.
template <class Arch, int columns>
inline void row_dots_tile(const RowDots& job, const float* x, index_t rows, const float* w, float* out) {
  using V = simd::F32<Arch>;
  constexpr int height = static_cast<int>(V::width) / columns;
  const float* row[height];
#pragma GCC unroll 16
  for (int r = 0; r < height; ++r) row[r] = x + (r < rows ? r : rows - 1) * job.x_stride;
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
      const auto few = V::load(w + c * job.w_stride + k);
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

// The columns from `first` on, all rows: tiles of `columns` as long as they fit, then those of half the width.
template <class Arch, int columns>
inline void row_dots_of(const RowDots& job, index_t first) {
  constexpr index_t height = simd::F32<Arch>::width / columns;
  for (; first + columns <= job.columns; first += columns) {
    for (index_t r = 0; r < job.rows; r += height) {
      const index_t rows = job.rows - r < height ? job.rows - r : height;
      float tile[simd::F32<Arch>::width];
      row_dots_tile<Arch, columns>(job, job.x + r * job.x_stride, rows, job.w + first * job.w_stride, tile);
      for (index_t i = 0; i < rows; ++i) {
        for (index_t c = 0; c < columns; ++c) job.out[(r + i) * job.columns + first + c] = tile[i * columns + c];
      }
    }
  }
  if constexpr (columns > 1) row_dots_of<Arch, columns / 2>(job, first);
}

template <class Arch>
inline void row_dots(const RowDots& job) {
  constexpr int widest = simd::F32<Arch>::width > 1 ? static_cast<int>(simd::F32<Arch>::width / 2) : 1;
  row_dots_of<Arch, widest>(job, 0);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

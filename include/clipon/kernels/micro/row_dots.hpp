// Products of many rows with a few: the GEMM's panels are 48 columns wide and would mostly be padding.  Called by
// zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the depth, so each row is read once, in order, at the rate of memory.  A tile is 4 rows by 4 of
// the few where there are 32 registers, by 2 where there are 16: two multiply-adds a load.  Each output's order of
// additions is fixed by the depth alone.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// The CPU's own prefetcher stops where a row ends; so many rows ahead, what is read next is on its way.
constexpr index_t kRowsAhead = 8;

template <class Arch, int rows, int columns>
inline void row_dots_tile(const RowDots& job, const float* x, const float* w, float* out) {
  using V = simd::F32<Arch>;
  typename V::Batch sum[rows][columns];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) sum[r][c] = V::set(0.0f);
  }
  index_t k = 0;
  for (; k + V::width <= job.depth; k += V::width) {
    typename V::Batch few[columns];
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) few[c] = V::load(w + c * job.depth + k);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const float* own_x = x + r * job.x_stride + k;
      __builtin_prefetch(own_x + kRowsAhead * job.x_stride);
      const auto own = V::load(own_x);
#pragma GCC unroll 4
      for (int c = 0; c < columns; ++c) sum[r][c] = V::fma(own, few[c], sum[r][c]);
    }
  }
  const index_t left = job.depth - k;
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) {
      if (left > 0) {
        const auto own = V::load_part(x + r * job.x_stride + k, left);
        sum[r][c] = V::fma(own, V::load_part(w + c * job.depth + k, left), sum[r][c]);
      }
      out[r * job.columns + c] = V::sum(sum[r][c]);
    }
  }
}

// The columns from `first` on: as many tiles of `columns` as fit, then those of half the width.
template <class Arch, int rows, int columns>
inline void row_dots_of(const RowDots& job, index_t row, index_t first) {
  const float* x = job.x + row * job.x_stride;
  float* out = job.out + row * job.columns;
  for (; first + columns <= job.columns; first += columns) {
    row_dots_tile<Arch, rows, columns>(job, x, job.w + first * job.depth, out + first);
  }
  if constexpr (columns > 1) row_dots_of<Arch, rows, columns / 2>(job, row, first);
}

template <class Arch>
inline void row_dots(const RowDots& job) {
  constexpr int columns = simd::F32<Arch>::width >= 16 ? 4 : 2;
  index_t row = 0;
  for (; row + 4 <= job.rows; row += 4) row_dots_of<Arch, 4, columns>(job, row, 0);
  for (; row < job.rows; ++row) row_dots_of<Arch, 1, columns>(job, row, 0);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

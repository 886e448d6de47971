// Products of many rows with a few: the GEMM's panels are 48 columns wide and would mostly be padding.  Called by
// zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the depth, so each row is read once, in order, at the rate of memory.  A tile is 2 rows by as many of
// the few as the registers hold sums for: 8 with 32 registers, 4 with 16.  Each output's order of additions is fixed by
// the depth alone.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, int rows, int columns>
inline void row_dots_tile(const RowDots& job, const float* x, const float* w, float* out) {
  using V = simd::F32<Arch>;
  typename V::Batch sum[rows][columns];
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < columns; ++c) sum[r][c] = V::set(0.0f);
  }
  index_t k = 0;
  for (; k + V::width <= job.depth; k += V::width) {
    typename V::Batch few[columns];
#pragma GCC unroll 8
    for (int c = 0; c < columns; ++c) few[c] = V::load(w + c * job.depth + k);
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r) {
      const auto own = V::load(x + r * job.x_stride + k);
#pragma GCC unroll 8
      for (int c = 0; c < columns; ++c) sum[r][c] = V::fma(own, few[c], sum[r][c]);
    }
  }
  const index_t left = job.depth - k;
#pragma GCC unroll 2
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
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
  constexpr int columns = simd::F32<Arch>::width >= 16 ? 8 : 4;
  index_t row = 0;
  for (; row + 2 <= job.rows; row += 2) row_dots_of<Arch, 2, columns>(job, row, 0);
  if (row < job.rows) row_dots_of<Arch, 1, columns>(job, row, 0);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// Products of many rows with a few: the GEMM's panels are 48 columns wide and would mostly be padding.  Called by
// zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the depth, so each row is read once, in order, at the rate of memory.  A tile is 4 rows by 2 of the
// few: 8 sums in registers.  Each output's order of additions is fixed by the depth alone.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, int rows, int columns>
inline void row_dots_tile(const RowDots& job, const float* x, const float* w, float* out) {
  using V = simd::F32<Arch>;
  typename V::Batch sum[rows][columns];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < columns; ++c) sum[r][c] = V::set(0.0f);
  }
  index_t k = 0;
  for (; k + V::width <= job.depth; k += V::width) {
    typename V::Batch few[columns];
#pragma GCC unroll 2
    for (int c = 0; c < columns; ++c) few[c] = V::load(w + c * job.depth + k);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const auto own = V::load(x + r * job.x_stride + k);
#pragma GCC unroll 2
      for (int c = 0; c < columns; ++c) sum[r][c] = V::fma(own, few[c], sum[r][c]);
    }
  }
  const index_t left = job.depth - k;
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < columns; ++c) {
      if (left > 0) {
        const auto own = V::load_part(x + r * job.x_stride + k, left);
        sum[r][c] = V::fma(own, V::load_part(w + c * job.depth + k, left), sum[r][c]);
      }
      out[r * job.columns + c] = V::sum(sum[r][c]);
    }
  }
}

template <class Arch, int rows>
inline void row_dots_of(const RowDots& job, index_t row) {
  const float* x = job.x + row * job.x_stride;
  float* out = job.out + row * job.columns;
  index_t c = 0;
  for (; c + 2 <= job.columns; c += 2) row_dots_tile<Arch, rows, 2>(job, x, job.w + c * job.depth, out + c);
  if (c < job.columns) row_dots_tile<Arch, rows, 1>(job, x, job.w + c * job.depth, out + c);
}

template <class Arch>
inline void row_dots(const RowDots& job) {
  index_t row = 0;
  for (; row + 4 <= job.rows; row += 4) row_dots_of<Arch, 4>(job, row);
  for (; row < job.rows; ++row) row_dots_of<Arch, 1>(job, row);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

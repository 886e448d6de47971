// What softmax and ranking need of many rows of a few products each: greatest, sum of exponentials, best two.  Called
// by zero_shot/ranking.hpp through the table.  Per ISA.
//
// Lanes run along the rows, so that a row of eight costs a sixteenth of eight registers' work and no branch;
// row_exp.hpp has the same for long rows.  A row's result is the same whatever rows stand beside it.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/exp.hpp"
#include "clipon/simd/transpose.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// A register's width of rows from `start` on (past the end, the last one once more), turned: a column a register.
template <class Arch>
struct TurnedRows {
  using V = simd::F32<Arch>;
  alignas(64) float column[kMostOfFew * V::width];

  CLIPON_ALWAYS_INLINE TurnedRows(const RowsOfFew& job, index_t start) {
    const unsigned char* rows[V::width];
    for (index_t i = 0; i < V::width; ++i) {
      const index_t row = start + i < job.rows ? start + i : job.rows - 1;
      rows[i] = reinterpret_cast<const unsigned char*>(job.x + row * job.stride);
    }
    index_t c = 0;
    do {  // there is one column at least, which g++ can't know
      simd::transpose_four<Arch>(rows, 4 * c, reinterpret_cast<std::uint32_t*>(column + c * V::width), V::width);
      c += 4;
    } while (c < job.columns);
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE typename V::Batch operator[](index_t c) const {
    return V::load(column + c * V::width);
  }
};

/// The greatest of each row and the sum of its exp(scale (x - greatest)), scale >= 0.
template <class Arch>
inline void exp_of_rows(const RowsOfFew& job, float scale, float* greatest, float* sum) {
  using V = simd::F32<Arch>;
  const auto factor = V::set(scale);
  for (index_t r = 0; r < job.rows; r += V::width) {
    const TurnedRows<Arch> x(job, r);
    auto most = x[0];
    for (index_t c = 1; c < job.columns; ++c) most = V::max(most, x[c]);
    auto total = V::set(0.0f);
    for (index_t c = 0; c < job.columns; ++c) total = total + simd::exp<Arch>((x[c] - most) * factor);
    V::store_part(greatest + r, most, job.rows - r);
    V::store_part(sum + r, total, job.rows - r);
  }
}

/// The best two columns of each row, of equal ones the first; of a single column, that one twice.
template <class Arch>
inline void best_two_of_rows(const RowsOfFew& job, const BestTwo& out) {
  using V = simd::F32<Arch>;
  for (index_t r = 0; r < job.rows; r += V::width) {
    const TurnedRows<Arch> x(job, r);
    const index_t second = job.columns > 1 ? 1 : 0;
    const auto zero = V::set(0.0f);
    const auto one = V::set(static_cast<float>(second));
    auto best = V::where_greater(x[second], x[0], x[second], x[0]);
    auto best_at = V::where_greater(x[second], x[0], one, zero);
    auto next = V::where_greater(x[second], x[0], x[0], x[second]);
    auto next_at = V::where_greater(x[second], x[0], zero, one);
    for (index_t c = 2; c < job.columns; ++c) {
      const auto own = x[c];
      const auto at = V::set(static_cast<float>(c));
      next_at = V::where_greater(own, best, best_at, V::where_greater(own, next, at, next_at));
      next = V::where_greater(own, best, best, V::where_greater(own, next, own, next));
      best_at = V::where_greater(own, best, at, best_at);
      best = V::where_greater(own, best, own, best);
    }
    const index_t left = job.rows - r;
    V::store_part(out.best + r, best, left);
    V::store_part(out.next + r, next, left);
    float lane[2 * V::width];
    V::store(lane, best_at);
    V::store(lane + V::width, next_at);
    for (index_t i = 0; i < V::width && i < left; ++i) {
      out.best_index[r + i] = static_cast<std::int32_t>(lane[i]);
      out.next_index[r + i] = static_cast<std::int32_t>(lane[V::width + i]);
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// Groups of stored rows that are near each other: the same picture twice, scaled or saved again.  PUBLIC, layer 6.
// Called by `clipon dedupe`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "clipon/kernels/gemm.hpp"
#include "clipon/search/top_k.hpp"

namespace clipon::inline CLIPON_ABI {

namespace detail {

// Disjoint sets; each is named by its lowest row.
class RowSets {
 public:
  explicit RowSets(index_t n) : parent_(static_cast<std::size_t>(n)) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  std::size_t find(std::size_t row) {
    while (parent_[row] != row) row = parent_[row] = parent_[parent_[row]];
    return row;
  }
  bool are_joined(index_t a, index_t b) {
    return find(static_cast<std::size_t>(a)) == find(static_cast<std::size_t>(b));
  }
  void join(index_t a, index_t b) {
    const std::size_t x = find(static_cast<std::size_t>(a));
    const std::size_t y = find(static_cast<std::size_t>(b));
    parent_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<std::size_t> parent_;
};

// 1 / length of each row, which rounding to the stored type has changed; 0 of a row of zeros or with a NaN,
// which is near none.  In double: a float holds neither the square of a large element nor the inverse of a large
// length.
inline std::vector<double> inverse_lengths(const kernels::Context& context, const kernels::StoredMatrix& matrix) {
  std::vector<double> inverse(static_cast<std::size_t>(matrix.rows));
  std::vector<float> row(static_cast<std::size_t>(matrix.columns));
  for (std::size_t r = 0; r < inverse.size(); ++r) {
    context.kernels->widen(matrix, static_cast<index_t>(r), 0, matrix.columns, row.data());
    double square = 0.0;
    for (const float x : row) square += double{x} * double{x};
    const double length = std::sqrt(square);
    const bool has_direction = is_finite(length) && length >= double{std::numeric_limits<float>::min()};
    inverse[r] = has_direction ? 1.0 / length : 0.0;
  }
  return inverse;
}

// Rows first .. first + n - 1 at unit length, lest products overflow: out [n, columns].
inline void unit_rows(const kernels::Context& context, const kernels::StoredMatrix& matrix,
                      const std::vector<double>& inverse, index_t first, index_t n, float* out) {
  parallel::parallel_for(context.threads, n, [&](index_t r) {
    float* const row = out + r * matrix.columns;
    context.kernels->widen(matrix, first + r, 0, matrix.columns, row);
    const double own = inverse[static_cast<std::size_t>(first + r)];
    for (index_t i = 0; i < matrix.columns; ++i) row[i] = static_cast<float>(double{row[i]} * own);
  });
}

/// Cosines of pairs of rows, in double.
class ExactCosine {
 public:
  ExactCosine(const kernels::Context& context, const kernels::StoredMatrix& matrix, const std::vector<double>& inverse)
      : context_(context), matrix_(matrix), inverse_(inverse), a_(static_cast<std::size_t>(matrix.columns)), b_(a_) {}

  double operator()(index_t a, index_t b) {
    context_.kernels->widen(matrix_, a, 0, matrix_.columns, a_.data());
    context_.kernels->widen(matrix_, b, 0, matrix_.columns, b_.data());
    double product = 0.0;
    for (std::size_t i = 0; i < a_.size(); ++i) product += double{a_[i]} * double{b_[i]};
    return (product * inverse_[static_cast<std::size_t>(a)]) * inverse_[static_cast<std::size_t>(b)];
  }

 private:
  const kernels::Context& context_;
  const kernels::StoredMatrix& matrix_;
  const std::vector<double>& inverse_;
  std::vector<float> a_;
  std::vector<float> b_;
};

// Joins the rows whose cosine is at least `least`, block by block: the half of the square below the diagonal.
inline void join_near_rows(const kernels::Context& context, const kernels::StoredMatrix& matrix,
                           const std::vector<double>& inverse, float least, RowSets& sets) {
  constexpr index_t tall = 256;   // rows of a block: they and the products stay in L2
  constexpr index_t wide = 1024;  // rows that are packed at a time
  AlignedBuffer<float> rows(static_cast<std::size_t>(wide * matrix.columns));
  AlignedBuffer<float> products(static_cast<std::size_t>(tall * wide));
  ExactCosine exact(context, matrix, inverse);
  constexpr double exact_rounding = 0x1p-40;  // copies of one row have a cosine of 1
  // A product of n terms whose magnitudes sum to 1 at most is off by n roundings, and the rows by one each.
  const float rounding = static_cast<float>(matrix.columns + 2) * 0x1p-24f;
  const auto may_be_near = [&](float cosine) { return cosine >= least - rounding; };
  const auto is_near = [&](float cosine, index_t a, index_t b) {
    return cosine >= least + rounding || exact(a, b) >= double{least} - exact_rounding;
  };
  for (index_t first = 0; first < matrix.rows; first += wide) {
    const index_t count = std::min(wide, matrix.rows - first);
    unit_rows(context, matrix, inverse, first, count, rows.data());
    const kernels::PackedMatrix packed(context, {rows.data(), nullptr, DataType::f32, count, matrix.columns});
    for (index_t top = first; top < matrix.rows; top += tall) {
      const index_t n = std::min(tall, matrix.rows - top);
      unit_rows(context, matrix, inverse, top, n, rows.data());
      const kernels::Epilogue epilogue = kernels::store_to(products.data(), count, DataType::f32);
      kernels::gemm(context, {rows.data(), matrix.columns}, n, packed, epilogue);
      for (index_t r = 0; r < n; ++r) {
        const float* cosine = products.data() + r * count;
        const double* below = inverse.data() + first;
        if (inverse[static_cast<std::size_t>(top + r)] == 0.0) continue;
        for (index_t c = 0; c < count && first + c < top + r; ++c) {
          if (!may_be_near(cosine[c]) || below[c] == 0.0 || sets.are_joined(first + c, top + r)) continue;
          if (is_near(cosine[c], first + c, top + r)) sets.join(first + c, top + r);
        }
      }
    }
  }
}

}  // namespace detail

/// Rows that are near each other: two rows with a cosine of at least `least_score` are in one group, and so are chains
/// of them.  Groups of two and more, in the order of their first rows; a member's score is its cosine with the group's
/// first row.  Rows need not be of unit length, but their elements must be normal floats.  Costs a product of all rows
/// with all rows.  Throws Error as search does; least_score NaN: no groups.
[[nodiscard]] inline std::vector<std::vector<Match>> duplicate_groups(const VectorsView& vectors, float least_score,
                                                                      const SearchOptions& options = {}) {
  const FloatingPointScope scope;
  const kernels::StoredMatrix matrix = detail::checked_matrix(vectors);
  const kernels::Context context = detail::search_context(options);
  detail::RowSets sets(matrix.rows);
  const std::vector<double> inverse = detail::inverse_lengths(context, matrix);
  detail::join_near_rows(context, matrix, inverse, least_score, sets);
  std::vector<std::vector<Match>> by_root(static_cast<std::size_t>(matrix.rows));
  detail::ExactCosine exact(context, matrix, inverse);
  for (std::size_t r = 0; r < by_root.size(); ++r) {
    const std::size_t root = sets.find(r);
    const double cosine = exact(static_cast<index_t>(root), static_cast<index_t>(r));
    by_root[root].push_back({r, static_cast<float>(std::min(cosine, 1.0))});
  }
  std::erase_if(by_root, [](const auto& group) { return group.size() < 2; });
  return by_root;
}

}  // namespace clipon::inline CLIPON_ABI

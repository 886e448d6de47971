// Search: many stored embeddings, and the nearest of them to a query, exactly.  PUBLIC, layer 6.
// Every row is looked at: a query reads the store once, at the speed of memory, so a million rows of 512 float16 take
// about a twentieth of a second where memory gives 20 GB/s.  Beyond some millions an approximate index pays (FAISS,
// USearch); `clipon index` writes .npy files that they read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "clipon/kernels/gemm.hpp"
#include "clipon/kernels/select.hpp"
#include "clipon/model.hpp"

namespace clipon::inline CLIPON_ABI {

/// Rows to search in; the memory is the caller's (a mapped file, a StoredVectors).
struct VectorsView {
  const void* data = nullptr;     ///< [rows, width], one after the other
  DataType type = DataType::f32;  ///< f32, f16, bf16, or i8 with a scale a row
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t width = 0;
  const float* scale = nullptr;  ///< [rows] for i8
};

struct Match {
  std::size_t row = 0;
  float score = 0.0f;  ///< the product with the query: the cosine, where both are of unit length
};

struct SearchOptions {
  std::size_t top = 10;  ///< how many rows to find; 0: all
  int threads = 0;       ///< 0: as many as the affinity mask and the cgroup quota allow
  Isa isa = Isa::best;
};

/// Unit rows kept in half or a quarter of a float's memory.  float16 changes a cosine by 2^-11 at most; int8 rounds
/// each element by up to 1/254 of the row's greatest: an embedding's cosine changes by about 0.001 and by 0.003 where
/// it is near 1, that of rows with one dominant element by up to 0.008.
class StoredVectors {
 public:
  static constexpr std::ptrdiff_t kMaxWidth = std::ptrdiff_t{1} << 24;  // far beyond any embedding

  /// Throws Error invalid_argument for a width outside 1..kMaxWidth or a type other than f32, f16 and i8.
  StoredVectors(DataType type, std::ptrdiff_t width) : type_(type), width_(width) {
    const bool kept = type == DataType::f32 || type == DataType::f16 || type == DataType::i8;
    if (width < 1 || width > kMaxWidth || !kept) {
      throw Error(ErrorCode::invalid_argument, "stored vectors: expected f32, f16 or int8 and a width of 1 to " +
                                                   std::to_string(kMaxWidth) + ", found " + to_string(type) + " and " +
                                                   std::to_string(width));
    }
  }

  /// Adds rows [n, width], which must not lie in this object's own memory.  A row with a NaN stays one, and is never
  /// found.
  void append(const ConstMatrixRef& rows) {
    const FloatingPointScope scope(Denormals::kept);
    if (rows.cols() != width_) {
      throw Error(ErrorCode::invalid_argument, "stored vectors: expected rows of " + std::to_string(width_) +
                                                   ", found " + std::to_string(rows.cols()));
    }
    for (Eigen::Index i = 0; i < rows.rows(); ++i) append_row(rows.data() + i * rows.outerStride());
  }

  [[nodiscard]] VectorsView view() const {
    const auto row_bytes = width_ * static_cast<std::ptrdiff_t>(size_of(type_));
    const auto rows = static_cast<std::ptrdiff_t>(bytes_.size()) / row_bytes;
    return {bytes_.data(), type_, rows, width_, type_ == DataType::i8 ? scale_.data() : nullptr};
  }

 private:
  void append_row(const float* row) {
    const std::size_t element = size_of(type_);
    const auto width = static_cast<std::size_t>(width_);
    // bytes_ says how many rows there are, so it grows last: memory may run out
    if (type_ == DataType::i8) scale_.resize(bytes_.size() / width + 1);
    bytes_.resize(bytes_.size() + width * element);
    std::byte* out = bytes_.data() + bytes_.size() - width * element;
    if (type_ == DataType::f32) std::memcpy(out, row, width * element);
    if (type_ == DataType::i8) scale_.back() = write_int8(row, out);
    for (std::size_t i = 0; i < width && type_ == DataType::f16; ++i) {
      const std::uint16_t half = float_to_f16(row[i]);
      std::memcpy(out + i * element, &half, element);
    }
  }

  // The largest magnitude becomes 127; the scale.
  float write_int8(const float* row, std::byte* out) const {
    float largest = 0.0f;
    const bool finite = is_finite({row, static_cast<std::size_t>(width_)});
    for (const float* x = row; x != row + width_; ++x) largest = std::max(largest, std::fabs(*x));
    const bool some = finite && largest > 0.0f;
    for (std::ptrdiff_t i = 0; i < width_; ++i) {
      const float level = some ? std::nearbyintf(row[i] / largest * 127.0f) : 0.0f;
      out[i] = static_cast<std::byte>(static_cast<std::int8_t>(level));
    }
    return finite ? largest / 127.0f : kNan;
  }

  DataType type_;
  std::ptrdiff_t width_;
  std::vector<std::byte> bytes_;
  std::vector<float> scale_;
};

namespace detail {

inline kernels::StoredMatrix checked_matrix(const VectorsView& v) {
  const bool described = v.rows >= 0 && v.width >= 1 && (v.rows == 0 || v.data != nullptr) && v.type != DataType::i16;
  if (!described || (v.type == DataType::i8 && v.rows > 0 && v.scale == nullptr)) {
    throw Error(ErrorCode::invalid_argument,
                "vectors to search: expected a pointer, a width above 0, f32, f16, bf16 or int8 with scales, found [" +
                    std::to_string(v.rows) + ", " + std::to_string(v.width) + "] of " + to_string(v.type));
  }
  return {v.data, v.scale, v.type, v.rows, v.width};
}

inline kernels::Context search_context(const SearchOptions& options) {
  return {&kernels::select_table(options.isa, false), {kernels::thread_count(options.threads)}};
}

}  // namespace detail

/// The rows of greatest product with the query, best first; of equal ones the lower row.  Fewer than options.top where
/// there are fewer (a row with a NaN is none).  The same whatever the number of threads.
/// Throws Error invalid_argument for a query of another width and for threads outside 0..kMaxThreads, unsupported for
/// an instruction set that does not run here.  A query with a NaN is near no row.
[[nodiscard]] inline std::vector<Match> search(const VectorsView& vectors, const Vector& query,
                                               const SearchOptions& options = {}) {
  const kernels::StoredMatrix matrix = detail::checked_matrix(vectors);
  if (query.size() != vectors.width) {
    throw Error(ErrorCode::invalid_argument, "query: expected a width of " + std::to_string(vectors.width) +
                                                 ", found " + std::to_string(query.size()));
  }
  const kernels::Context context = detail::search_context(options);
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const std::size_t top = options.top == 0 ? rows : std::min(options.top, rows);
  constexpr index_t least_rows = 2048;  // a thread's share that is worth waking it for
  const index_t pieces =
      std::min<index_t>(context.threads.count * index_t{8}, (matrix.rows + least_rows - 1) / least_rows);
  std::vector<std::vector<kernels::Candidate>> found(static_cast<std::size_t>(pieces));
  parallel::parallel_for(context.threads, pieces, [&](index_t p) {
    kernels::TopkRows job{matrix, query.data()};
    job.first = p * matrix.rows / pieces;
    job.rows = (p + 1) * matrix.rows / pieces - job.first;
    job.k = std::min(static_cast<index_t>(top), job.rows);
    auto& best = found[static_cast<std::size_t>(p)];
    best.resize(static_cast<std::size_t>(job.k));
    job.heap = best.data();
    if (job.k > 0) best.resize(static_cast<std::size_t>(context.kernels->dot_topk(job)));
  });
  std::vector<kernels::Candidate> all;
  for (const auto& piece : found) all.insert(all.end(), piece.begin(), piece.end());
  const std::size_t count = std::min(top, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(), kernels::precedes);
  std::vector<Match> matches;
  for (std::size_t i = 0; i < count; ++i) matches.push_back({static_cast<std::size_t>(all[i].row), all[i].dot});
  return matches;
}

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

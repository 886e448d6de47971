// The stored rows nearest to a query, exactly.  PUBLIC, layer 6.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "clipon/kernels/select.hpp"
#include "clipon/search/stored_vectors.hpp"

namespace clipon::inline CLIPON_ABI {

struct Match {
  std::size_t row = 0;
  float score = 0.0f;  ///< the product with the query: the cosine, where both are of unit length
};

struct SearchOptions {
  std::size_t top = 10;  ///< how many rows to find; 0: all
  int threads = 0;       ///< 0: as many as the affinity mask and the cgroup quota allow
  Isa isa = Isa::best;
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

}  // namespace clipon::inline CLIPON_ABI

// A pass's rows divided among threads.  Layer 3; used by the Transformer and by 1 x 1 convolutions.
//
// Threads that share each product meet after every layer, and each reads what the others have just written: between
// cores that share no L3 a line takes 250 ns.  A thread that keeps some rows through all layers but attention meets the
// others twice a block and finds its rows in its own L2.  It reads all weights, which the threads would otherwise read
// once between them.
#pragma once

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// Whether each thread keeps a share of a pass's `rows` rows; else all threads share each product.
inline bool shares_rows(const kernels::Context& context, DataType type, index_t rows) {
  const index_t threads = context.threads.count;
  const index_t least = context.kernels->least_row_share(type, threads);
  return threads > 1 && least > 0 && rows >= threads * least;
}

/// body(context, first, count) for a share of the rows on each thread, or once for all of them with all threads inside.
template <class Body>
void for_row_shares(const kernels::Context& context, index_t rows, bool shares, const Body& body) {
  if (!shares) return body(context, index_t{0}, rows);
  parallel::parallel_ranges(context.threads, rows, index_t{1},
                            [&](index_t first, index_t count) { body(context.alone(), first, count); });
}

}  // namespace clipon::inline CLIPON_ABI::nn

// A pass's rows divided among threads.  Layer 3; used by the Transformer.
//
// Threads that share each product meet after every layer, and each reads what the others have just written: between
// cores that share no L3 a line takes 250 ns.  A thread that keeps some rows through all layers but attention meets the
// others twice a block and finds its rows in its own L2.  It reads all weights, which the threads would otherwise read
// once between them.
#pragma once

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// Into how many shares, one a thread, a pass of `rows` rows is divided; 1: all threads share each product.
inline index_t row_shares(const kernels::Context& context, DataType type, index_t rows) {
  const index_t threads = context.threads.count;
  const index_t least = context.kernels->least_row_share(type, threads);
  return least > 0 && rows >= threads * least ? threads : 1;
}

/// body(context, first, count) for each share of the rows, on one thread each; of 1 share with all threads inside.
template <class Body>
void for_row_shares(const kernels::Context& context, index_t rows, index_t shares, const Body& body) {
  if (shares == 1) return body(context, index_t{0}, rows);
  const kernels::Context alone = context.alone();
  parallel::parallel_for(context.threads, shares, [&](index_t share) {
    const index_t first = share * rows / shares;
    body(alone, first, (share + 1) * rows / shares - first);
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

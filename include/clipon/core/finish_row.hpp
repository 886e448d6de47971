// The last step of an embedding: to unit length.  Layer 0; called by Model and Classifier, and by the
// command for sums of embeddings.
#pragma once

#include <cmath>

#include "clipon/core/types.hpp"
#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI::detail {

/// A row to unit length, where that is asked for.  The sum is taken in double, in order.  Throws Error not_finite for
/// what isn't finite, and for a row of zeros that should get unit length.
inline void finish_row(float* row, index_t n, bool normalize) {
  double sum = 0.0;
  for (index_t i = 0; i < n; ++i) sum += double{row[i]} * double{row[i]};
  if (!is_finite(sum) || (normalize && !(sum > 0.0))) {
    throw Error(ErrorCode::not_finite, "embedding: expected a finite direction, found none");
  }
  if (!normalize) return;
  const double scale = 1.0 / std::sqrt(sum);
  for (index_t i = 0; i < n; ++i) row[i] = static_cast<float>(double{row[i]} * scale);
}

}  // namespace clipon::inline CLIPON_ABI::detail

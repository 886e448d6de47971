// What softmax and ranking need of one row of products: its greatest, the sum of its exponentials, the best few.
// Called by zero_shot/ranking.hpp and similarity/contrastive.hpp through the table.  Per ISA.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The greatest x, and the sum of exp(scale (x - greatest)).  n >= 1; scale >= 0.
template <class Arch>
inline RowExp row_exp(const float* x, index_t n, float scale) {
  using V = simd::F32<Arch>;
  float most = x[0];
  index_t i = 0;
  auto top = V::set(most);
  for (; i + V::width <= n; i += V::width) top = V::max(top, V::load(x + i));
  most = V::greatest(top);
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;

  const auto factor = V::set(scale);
  const auto shift = V::set(most);
  auto total = V::set(0.0f);
  for (i = 0; i + V::width <= n; i += V::width) {
    total = total + simd::exp<Arch>((V::load(x + i) - shift) * factor);
  }
  float sum = V::sum(total);
  if (i < n) {
    float last[V::width];
    V::store(last, simd::exp<Arch>((V::load_part(x + i, n - i) - shift) * factor));
    for (index_t j = 0; j < n - i; ++j) sum += last[j];
  }
  return {most, sum};
}

/// out = exp(scale (x - shift)).
template <class Arch>
inline void exponentials(const float* x, index_t n, float scale, float shift, float* out) {
  using V = simd::F32<Arch>;
  const auto factor = V::set(scale);
  const auto from = V::set(shift);
  index_t i = 0;
  for (; i + V::width <= n; i += V::width) V::store(out + i, simd::exp<Arch>((V::load(x + i) - from) * factor));
  if (i < n) V::store_part(out + i, simd::exp<Arch>((V::load_part(x + i, n - i) - from) * factor), n - i);
}

/// The k greatest of x, best first; of equal ones the first.  1 <= k <= n.
template <class Arch>
inline void best_of_row(const float* x, index_t n, index_t k, float* values, std::int32_t* indices) {
  using V = simd::F32<Arch>;
  index_t found = 0;
  const auto offer = [&](index_t i) __attribute__((always_inline)) {
    if (found == k && !(x[i] > values[k - 1])) return;
    index_t at = found < k ? found++ : k - 1;
    for (; at > 0 && x[i] > values[at - 1]; --at) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = x[i];
    indices[at] = static_cast<std::int32_t>(i);
  };
  index_t i = 0;
  for (; i < k; ++i) offer(i);
  // Four registers at a time, looked into only where something in them beats the k-th best so far.
  constexpr index_t step = 4 * V::width;
  for (; i + step <= n; i += step) {
    const auto upper = V::max(V::load(x + i), V::load(x + i + V::width));
    const auto lower = V::max(V::load(x + i + 2 * V::width), V::load(x + i + 3 * V::width));
    if (!(V::greatest(V::max(upper, lower)) > values[k - 1])) continue;
    for (index_t j = 0; j < step; ++j) offer(i + j);
  }
  for (; i < n; ++i) offer(i);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

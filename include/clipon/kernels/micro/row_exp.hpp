// What softmax and ranking need of one row of products: its greatest, the sum of its exponentials, the best few.
// Called by zero_shot/, similarity/ and linear_probe/ through the table, and by attention_tile.hpp.  Per ISA.
#pragma once

#include <limits>

#include "clipon/kernels/types.hpp"
#include "clipon/simd/exp.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The greatest of x[0 .. n), n >= 1.  -infinity for a row of nothing but -infinity; x minus that is NaN, as the
/// softmax of such a row is.
template <class Arch>
CLIPON_ALWAYS_INLINE float greatest_of(const float* x, index_t n) {
  using V = simd::F32<Arch>;
  constexpr float none = -std::numeric_limits<float>::infinity();
  const index_t whole = n / V::width * V::width;
  auto top = V::load_part_or(x + whole, n - whole, none);
  for (index_t i = 0; i < whole; i += V::width) top = V::max(top, V::load(x + i));
  return V::greatest(top);
}

/// The greatest x, and the sum of exp(scale (x - greatest)).  n >= 1; scale >= 0.
template <class Arch>
inline RowExp row_exp(const float* x, index_t n, float scale) {
  using V = simd::F32<Arch>;
  const float most = greatest_of<Arch>(x, n);
  const auto factor = V::set(scale);
  const auto shift = V::set(most);
  const index_t whole = n / V::width * V::width;
  const auto last = V::load_part(x + whole, n - whole);
  auto total = V::keep(simd::exp<Arch>((last - shift) * factor), n - whole);
  for (index_t i = 0; i < whole; i += V::width) {
    total = total + simd::exp<Arch>((V::load(x + i) - shift) * factor);
  }
  return {most, V::sum(total)};
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

/// A number that at least k of x reach, if no NaN is among them: each lane's greatest is one of x, so the k-th of those
/// is such a bound.  1 <= k <= V::width <= n.
template <class Arch>
inline float bound_of_best(const float* x, index_t n, index_t k) {
  using V = simd::F32<Arch>;
  auto most = V::load(x);
  for (index_t i = V::width; i + V::width <= n; i += V::width) most = V::max(most, V::load(x + i));
  float lane[V::width];
  V::store(lane, most);
  for (index_t j = 0; j < k; ++j) {  // by hand: std algorithms compiled for this ISA could be linked into other units
    for (index_t l = j + 1; l < V::width; ++l) {
      const float larger = lane[l] > lane[j] ? lane[l] : lane[j];
      lane[l] = lane[l] > lane[j] ? lane[j] : lane[l];
      lane[j] = larger;
    }
  }
  return lane[k - 1];
}

/// The k greatest of x, best first; of equal ones the first.  1 <= k <= n.  Any k of a row with NaN, whose caller
/// looks for it.
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
  constexpr index_t step = 4 * V::width;
  index_t i = 0;
  if (k <= V::width && n >= step) {
    // Four registers at a time, looked into only where something in them reaches the bound: about k times.
    const float bound = bound_of_best<Arch>(x, n, k);
    for (; i + step <= n; i += step) {
      const auto upper = V::max(V::load(x + i), V::load(x + i + V::width));
      const auto lower = V::max(V::load(x + i + 2 * V::width), V::load(x + i + 3 * V::width));
      if (!(V::greatest(V::max(upper, lower)) >= bound)) continue;
      for (index_t j = i; j < i + step; ++j) {
        if (x[j] >= bound) offer(j);
      }
    }
    for (; i < n; ++i) {
      if (x[i] >= bound) offer(i);
    }
    if (found == k) return;
    found = i = 0;
  }
  for (; i < n; ++i) offer(i);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// Exact search: the product of each stored row with a query, and the k greatest of them.  Called by search/top_k.hpp
// through the table.  Per ISA.
//
// What it costs is reading the rows once; widening and multiplying hide behind that (prefetching by hand gained
// nothing).  A row's product is summed in an order that its length alone fixes, so it does not depend on how the rows
// are divided over threads.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, DataType type>
struct StoredRow;  // elements as floats, before the row's scale: a register of them, one of them

template <class Arch>
struct StoredRow<Arch, DataType::f32> {
  using Element = float;
  static CLIPON_ALWAYS_INLINE auto load(const float* p) { return simd::F32<Arch>::load(p); }
  static CLIPON_ALWAYS_INLINE float one(float x) { return x; }
};
template <class Arch>
struct StoredRow<Arch, DataType::f16> {
  using Element = std::uint16_t;
  static CLIPON_ALWAYS_INLINE auto load(const std::uint16_t* p) { return simd::F32<Arch>::from_f16(p); }
  static CLIPON_ALWAYS_INLINE float one(std::uint16_t x) { return f16_to_float(x); }
};
template <class Arch>
struct StoredRow<Arch, DataType::bf16> {
  using Element = std::uint16_t;
  static CLIPON_ALWAYS_INLINE auto load(const std::uint16_t* p) { return simd::F32<Arch>::from_bf16(p); }
  static CLIPON_ALWAYS_INLINE float one(std::uint16_t x) { return bf16_to_float(x); }
};
template <class Arch>
struct StoredRow<Arch, DataType::i8> {
  using Element = std::int8_t;
  static CLIPON_ALWAYS_INLINE auto load(const std::int8_t* p) { return simd::F32<Arch>::from_i8(p); }
  static CLIPON_ALWAYS_INLINE float one(std::int8_t x) { return static_cast<float>(x); }
};

/// The product of one row of `width` elements with the query.
template <class Arch, DataType type>
CLIPON_ALWAYS_INLINE float dot_row(const typename StoredRow<Arch, type>::Element* row, const float* query,
                                   index_t width) {
  using V = simd::F32<Arch>;
  using Row = StoredRow<Arch, type>;
  constexpr index_t chains = 4;  // a multiply-add takes 4 cycles; one chain would wait for it
  typename V::Batch sum[chains] = {V::set(0.0f), V::set(0.0f), V::set(0.0f), V::set(0.0f)};
  index_t i = 0;
  for (; i + chains * V::width <= width; i += chains * V::width) {
    for (index_t c = 0; c < chains; ++c) {
      sum[c] = V::fma(Row::load(row + i + c * V::width), V::load(query + i + c * V::width), sum[c]);
    }
  }
  for (; i + V::width <= width; i += V::width) sum[0] = V::fma(Row::load(row + i), V::load(query + i), sum[0]);
  float total = V::sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  for (; i < width; ++i) total += Row::one(row[i]) * query[i];
  return total;
}

// The heap: an element's two successors, 2 at + 1 and 2 at + 2, precede it in the order of answers.
template <class Arch>
inline void sift_down(Candidate* heap, index_t size, index_t at, const Candidate& candidate) {
  for (;;) {
    index_t worse = 2 * at + 1;
    if (worse >= size) break;
    if (worse + 1 < size && precedes(heap[worse], heap[worse + 1])) ++worse;
    if (!precedes(candidate, heap[worse])) break;
    heap[at] = heap[worse];
    at = worse;
  }
  heap[at] = candidate;
}

template <class Arch>
inline void sift_up(Candidate* heap, index_t at, const Candidate& candidate) {
  while (at > 0 && precedes(heap[(at - 1) / 2], candidate)) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = candidate;
}

template <class Arch, DataType type>
inline index_t dot_topk_of(const TopkRows& job) {
  index_t found = 0;
  using Element = typename StoredRow<Arch, type>::Element;
  const index_t width = job.vectors.columns;
  const auto* row = static_cast<const Element*>(job.vectors.data) + job.first * width;
  for (index_t r = job.first; r < job.first + job.rows; ++r, row += width) {
    float dot = dot_row<Arch, type>(row, job.query, width);
    if (type == DataType::i8) dot *= job.vectors.scale[r];
    if (is_nan(dot)) continue;
    const Candidate candidate{dot, r};
    if (found == job.k) {
      if (precedes(candidate, job.heap[0])) sift_down<Arch>(job.heap, found, 0, candidate);
    } else {
      sift_up<Arch>(job.heap, found++, candidate);
    }
  }
  return found;
}

/// Makes a heap of the job's best rows; how many it holds.
template <class Arch>
inline index_t dot_topk(const TopkRows& job) {
  switch (job.vectors.type) {
    case DataType::f32:
      return dot_topk_of<Arch, DataType::f32>(job);
    case DataType::f16:
      return dot_topk_of<Arch, DataType::f16>(job);
    case DataType::bf16:
      return dot_topk_of<Arch, DataType::bf16>(job);
    case DataType::i8:
      return dot_topk_of<Arch, DataType::i8>(job);
    case DataType::i16:
      break;  // nothing is stored in it
  }
  return 0;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

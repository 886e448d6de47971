// softmax(scale Q K^T) V of one head (Vaswani et al. 2017, 3.2.1), a few rows of queries at a time: their scores live
// in L1, and no [queries, keys] matrix exists.  Called by nn/attention.hpp through the table.  Per ISA.
#pragma once

#include "clipon/kernels/micro/gemm.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
CLIPON_ALWAYS_INLINE index_t whole_panels(index_t columns) {
  constexpr index_t nr = gemm_columns<Arch>;
  return (columns + nr - 1) / nr * nr;
}

/// Floats of scratch for `keys` keys: K^T and V in panels, then the scores and the scaled queries of one row block.
template <class Arch>
inline index_t attention_scratch(index_t keys, index_t head_width) {
  return whole_panels<Arch>(keys) * head_width + keys * whole_panels<Arch>(head_width) +
         gemm_rows<Arch> * (whole_panels<Arch>(keys) + head_width);
}

// Panels of K^T, [keys / NR][head_width][NR], and of V, [head_width / NR][keys][NR]; what is missing is zero.
template <class Arch>
inline void pack_keys_and_values(const AttentionHead& head, float* transposed, float* values) {
  constexpr index_t nr = gemm_columns<Arch>;
  for (index_t first = 0; first < head.keys; first += nr) {
    float* panel = transposed + first * head.head_width;
    for (index_t j = 0; j < nr; ++j) {
      const bool exists = first + j < head.keys;
      const float* key = head.k + (first + j) * head.kv_stride;
      for (index_t d = 0; d < head.head_width; ++d) panel[d * nr + j] = exists ? key[d] : 0.0f;
    }
  }
  for (index_t first = 0; first < head.head_width; first += nr) {
    const index_t columns = head.head_width - first < nr ? head.head_width - first : nr;
    for (index_t i = 0; i < head.keys; ++i) {
      const float* value = head.v + i * head.kv_stride + first;
      float* row = values + first * head.keys + i * nr;
      for (index_t j = 0; j < nr; ++j) row[j] = j < columns ? value[j] : 0.0f;
    }
  }
}

// scores[0..n) becomes exp(scores - max) / sum.
template <class Arch>
inline void softmax(float* scores, index_t n) {
  using V = simd::F32<Arch>;
  float most = scores[0];
  index_t i = 0;
  auto top = V::set(most);
  for (; i + V::width <= n; i += V::width) top = V::max(top, V::load(scores + i));
  most = V::greatest(top);
  for (; i < n; ++i) most = scores[i] > most ? scores[i] : most;

  auto total = V::set(0.0f);
  for (i = 0; i + V::width <= n; i += V::width) {
    const auto e = simd::exp<Arch>(V::load(scores + i) - V::set(most));
    V::store(scores + i, e);
    total = total + e;
  }
  float sum = V::sum(total);
  if (i < n) {
    V::store_part(scores + i, simd::exp<Arch>(V::load_part(scores + i, n - i) - V::set(most)), n - i);
    for (index_t j = i; j < n; ++j) sum += scores[j];
  }
  const auto inverse = V::set(1.0f / sum);
  for (i = 0; i + V::width <= n; i += V::width) V::store(scores + i, V::load(scores + i) * inverse);
  if (i < n) V::store_part(scores + i, V::load_part(scores + i, n - i) * inverse, n - i);
}

template <class Arch>
inline void attention_head(const AttentionHead& head) {
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t mr = gemm_rows<Arch>;
  const index_t padded = whole_panels<Arch>(head.keys);
  float* transposed = head.scratch;
  float* values = transposed + padded * head.head_width;
  float* scores = values + head.keys * whole_panels<Arch>(head.head_width);  // [MR, padded]
  float* scaled = scores + mr * padded;  // [MR, head_width]: queries times the scale
  pack_keys_and_values<Arch>(head, transposed, values);

  const index_t unseen = head.keys - head.queries;  // keys before the first query's own
  for (index_t row = 0; row < head.queries; row += mr) {
    const index_t rows = head.queries - row < mr ? head.queries - row : mr;
    const index_t visible = head.causal ? unseen + row + rows : head.keys;  // to the block's last row
    for (index_t r = 0; r < rows; ++r) {
      const float* query = head.q + (row + r) * head.q_stride;
      for (index_t d = 0; d < head.head_width; ++d) scaled[r * head.head_width + d] = query[d] * head.scale;
    }
    for (index_t first = 0; first < visible; first += nr) {
      const index_t columns = visible - first < nr ? visible - first : nr;
      Epilogue epilogue;
      epilogue.out = scores + first;
      epilogue.out_stride = padded;
      const TileInput in{{scaled, head.head_width}, transposed + first * head.head_width, head.head_width, columns};
      gemm_any<Arch, ProductF32<Arch>>(rows, in, epilogue);
    }
    for (index_t r = 0; r < rows; ++r) {
      const index_t seen = head.causal ? unseen + row + r + 1 : head.keys;
      softmax<Arch>(scores + r * padded, seen);
      for (index_t i = seen; i < visible; ++i) scores[r * padded + i] = 0.0f;
    }
    for (index_t first = 0; first < head.head_width; first += nr) {
      const index_t columns = head.head_width - first < nr ? head.head_width - first : nr;
      Epilogue epilogue;
      epilogue.out = head.out;
      epilogue.out_bf16 = head.out_bf16;
      epilogue.out_stride = head.out_stride;
      const TileInput in{{scores, padded}, values + first * head.keys, visible, columns};
      gemm_any<Arch, ProductF32<Arch>>(rows, in, offset<Arch>(epilogue, row, first));
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

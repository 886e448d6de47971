// softmax(scale Q K^T) V of one head (Vaswani et al. 2017, 3.2.1), a few rows of queries at a time: their scores live
// in L1, and no [queries, keys] matrix exists.  Called by nn/attention.hpp through the table.  Per ISA.
//
// Queries, keys and values are f32 or bf16; both products compute in that type, the softmax in f32.
#pragma once

#include <algorithm>

#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/micro/gemm.hpp"
#include "clipon/simd/exp.hpp"
#include "clipon/simd/transpose.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
CLIPON_ALWAYS_INLINE index_t whole_panels(index_t columns) {
  constexpr index_t nr = gemm_columns<Arch>;
  return (columns + nr - 1) / nr * nr;
}

/// 32-bit words of scratch for `keys` keys: K^T and V in panels, then the scores of one row block and their weights.
template <class Arch>
inline index_t attention_scratch(index_t keys, index_t head_width) {
  return whole_panels<Arch>(keys) * head_width + keys * whole_panels<Arch>(head_width) +
         2 * gemm_rows<Arch> * whole_panels<Arch>(keys);
}

// Panels of K^T: [keys / NR][steps][NR] of 32 bits.  Columns beyond the last key repeat it: nobody reads their scores.
template <class Arch, class Product>
inline void pack_keys(const AttentionHead& head, std::uint32_t* panel) {
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t width = simd::F32<Arch>::width;
  const index_t element = static_cast<index_t>(size_of(Product::type));
  const index_t steps = padded_depth(Product::type, head.head_width) / k_step(Product::type);
  const index_t whole = head.head_width / k_step(Product::type) / 4 * 4;
  const unsigned char* rows[width];
  for (index_t first = 0; first < whole_panels<Arch>(head.keys); first += width) {
    for (index_t j = 0; j < width; ++j) {
      const index_t row = head.key_row(first + j < head.keys ? first + j : head.keys - 1);
      rows[j] = static_cast<const unsigned char*>(head.k.data) + row * head.k.stride * element;
    }
    std::uint32_t* out = panel + first / nr * nr * steps + first % nr;
    for (index_t k = 0; k < whole; k += 4) simd::transpose_four<Arch>(rows, 4 * k, out + k * nr, nr);
    for (index_t k = whole; k < steps; ++k) {  // a head's width that is no multiple of four steps
      const index_t left = head.head_width * element - 4 * k;
      for (index_t j = 0; j < width; ++j) {
        std::uint32_t bits = 0;
        __builtin_memcpy(&bits, rows[j] + 4 * k, static_cast<std::size_t>(left < 4 ? left : 4));
        out[k * nr + j] = bits;
      }
    }
  }
}

// Panels of V: [head_width / NR][steps][NR] of 32 bits; what is missing is zero.
template <class Arch>
inline void pack_values(const AttentionHead& head, const float* values, std::uint32_t* panel) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = gemm_columns<Arch>;
  auto* out = reinterpret_cast<float*>(panel);
  for (index_t first = 0; first < head.head_width; first += nr) {
    for (index_t i = 0; i < head.keys; ++i, out += nr) {
      const float* row = values + head.key_row(i) * head.v.stride;
      for (index_t c = 0; c < nr; c += V::width) {
        V::store(out + c, V::load_part(row + first + c, std::clamp<index_t>(head.head_width - first - c, 0, V::width)));
      }
    }
  }
}
template <class Arch>
inline void pack_values(const AttentionHead& head, const std::uint16_t* values, std::uint32_t* panel) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = gemm_columns<Arch>;
  for (index_t first = 0; first < head.head_width; first += nr) {
    for (index_t i = 0; i < head.keys; i += 2, panel += nr) {  // a step: two keys
      const std::uint16_t* low = values + head.key_row(i) * head.v.stride;
      const std::uint16_t* high = i + 1 < head.keys ? values + head.key_row(i + 1) * head.v.stride : nullptr;
      for (index_t c = 0; c < nr; c += V::width) {
        if (high != nullptr && first + c + V::width <= head.head_width) {
          V::store_pairs(panel + c, low + first + c, high + first + c);
          continue;
        }
        for (index_t j = c; j < c + V::width; ++j) {
          const bool exists = first + j < head.head_width;
          const std::uint32_t a = exists ? low[first + j] : 0u;
          const std::uint32_t b = exists && high != nullptr ? high[first + j] : 0u;
          panel[j] = a | b << 16;
        }
      }
    }
  }
}

/// weights[0 .. n) = exp(scale (scores - their greatest)), in the type that the product with the values computes in;
/// weights[n .. padded) = 0.  Returns 1 / their sum, by which that product is multiplied: a division less a weight.
/// weights may be scores.
template <class Arch, class T>
inline float softmax_weights(const float* scores, index_t n, index_t padded, float scale, T* weights) {
  using V = simd::F32<Arch>;
  constexpr bool is_f32 = std::is_same_v<T, float>;
  constexpr float none = -3e38f;  // its exponential adds nothing to a sum of 1 or more
  const index_t whole = n / V::width * V::width;
  auto top = V::load_part_or(scores + whole, n - whole, none);
  for (index_t i = 0; i < whole; i += V::width) top = V::max(top, V::load(scores + i));
  const auto most = V::set(V::greatest(top));

  constexpr float log2_e = 1.44269504f;
  const auto factor = V::set(is_f32 ? scale : scale * log2_e);
  const auto weigh = [&](typename V::Batch x) __attribute__((always_inline)) {
    if constexpr (is_f32) {
      return simd::exp<Arch>((x - most) * factor);
    } else {
      return simd::exp2<Arch>((x - most) * factor);  // its error is far below bf16's
    }
  };
  auto total = V::set(0.0f);
  for (index_t i = 0; i < whole; i += V::width) {
    const auto weight = weigh(V::load(scores + i));
    total = total + weight;
    Element<Arch, T>::store(weights + i, weight);
  }
  if (whole < n) {
    const auto weight = weigh(V::load_part_or(scores + whole, n - whole, none));
    total = total + weight;
    Element<Arch, T>::store_part(weights + whole, weight, n - whole);
  }
  for (index_t i = n; i < padded; ++i) weights[i] = 0;
  return 1.0f / V::sum(total);
}

template <class Arch, class Product>
inline void attention_head_of(const AttentionHead& head) {
  using T = std::conditional_t<Product::type == DataType::bf16, std::uint16_t, float>;
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t mr = gemm_rows<Arch>;
  const index_t padded = whole_panels<Arch>(head.keys);
  const index_t key_steps = padded_depth(Product::type, head.head_width) / k_step(Product::type);
  const index_t value_steps = padded_depth(Product::type, head.keys) / k_step(Product::type);
  auto* keys = reinterpret_cast<std::uint32_t*>(head.scratch);
  auto* values = keys + padded * key_steps;
  auto* scores = reinterpret_cast<float*>(values + value_steps * whole_panels<Arch>(head.head_width));  // [MR, padded]
  T* weights;                                                                                           // [MR, padded]
  if constexpr (Product::type == DataType::bf16) {
    weights = reinterpret_cast<std::uint16_t*>(scores + mr * padded);
  } else {
    weights = scores;
  }
  pack_keys<Arch, Product>(head, keys);
  pack_values<Arch>(head, static_cast<const T*>(head.v.data), values);

  const index_t unseen = head.keys - head.queries;  // keys before the first query's own
  for (index_t row = 0; row < head.queries; row += mr) {
    const index_t rows = head.queries - row < mr ? head.queries - row : mr;
    const index_t visible = head.causal ? unseen + row + rows : head.keys;  // to the block's last row
    const index_t depth = padded_depth(Product::type, visible);
    for (index_t first = 0; first < visible; first += nr) {
      Epilogue epilogue;
      epilogue.out = scores + first;
      epilogue.out_stride = padded;
      const index_t columns = visible - first < nr ? visible - first : nr;
      gemm_any<Arch, Product>(rows, {head.q.from_row(row), keys + first * key_steps, key_steps, columns}, epilogue);
    }
    float inverse[mr];
    for (index_t r = 0; r < rows; ++r) {
      const index_t seen = head.causal ? unseen + row + r + 1 : head.keys;
      inverse[r] = softmax_weights<Arch>(scores + r * padded, seen, depth, head.scale, weights + r * padded);
    }
    for (index_t first = 0; first < head.head_width; first += nr) {
      Epilogue epilogue;
      if (head.out.type == DataType::f32) {
        epilogue.out = static_cast<float*>(head.out.data);
      } else {
        epilogue.out_bf16 = static_cast<std::uint16_t*>(head.out.data);
      }
      epilogue.out_stride = head.out.stride;
      const index_t columns = head.head_width - first < nr ? head.head_width - first : nr;
      TileInput in{
          {weights, padded, Product::type}, values + first * value_steps, depth / k_step(Product::type), columns};
      in.row_factor = inverse;
      gemm_any<Arch, Product>(rows, in, offset<Arch>(epilogue, row, first));
    }
  }
}

template <class Arch>
inline void attention_head(const AttentionHead& head) {
  if (head.q.type == DataType::bf16) {
    attention_head_of<Arch, ProductBf16<Arch>>(head);
  } else {
    attention_head_of<Arch, ProductF32<Arch>>(head);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

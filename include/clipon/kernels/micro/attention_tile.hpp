// softmax(scale Q K^T) V of one head (Vaswani et al. 2017, 3.2.1), a few rows of queries at a time: their scores live
// in L1, and no [queries, keys] matrix exists.  Called by attention.hpp.  Per ISA.
//
// Queries, keys and values are f32 or bf16; both products compute in that type, the softmax in f32.
#pragma once

#include "clipon/kernels/micro/attention_pack.hpp"
#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/micro/row_exp.hpp"
#include "clipon/simd/exp.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// weights[0 .. n) = 2^(factor (score - most)), in the type that the product with the values computes in; weights
/// [n .. depth) = 0.  Writes whole registers.  Returns their sums by lane.  weights may be scores.
template <class Arch, class T>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch weights_of(const float* scores, index_t n, index_t depth,
                                                                float factor, float most, T* weights) {
  using V = simd::F32<Arch>;
  const auto weigh =
      [ factor = V::set(factor), most = V::set(most) ](typename V::Batch x) __attribute__((always_inline)) {
    x = (x - most) * factor;  // not one multiply-add, whose rounding would count where scores are large
    if constexpr (std::is_same_v<T, float>) {
      return simd::exp2<Arch>(x);
    } else {
      return simd::exp2_for_bf16<Arch>(x);
    }
  };
  auto total = V::set(0.0f);
  index_t i = 0;
  for (; i + V::width <= n; i += V::width) {
    const auto weight = weigh(V::load(scores + i));
    total = total + weight;
    Element<Arch, T>::store(weights + i, weight);
  }
  if (i < n) {
    const auto weight = V::keep(weigh(V::load_part(scores + i, n - i)), n - i);
    total = total + weight;
    Element<Arch, T>::store(weights + i, weight);
    i += V::width;
  }
  for (; i < depth; ++i) weights[i] = 0;
  return total;
}

/// The softmax of `rows` queries' scores from `row` on: scores and weights [rows, padded].  inverse [rows] is what the
/// product with the values must be multiplied by, 1 / the sum of the weights: a division less a weight.
///
/// A row's greatest, its weights and their sum are chains of operations that wait for each other, so each is found for
/// a few rows before the next.
template <class Arch, class T>
inline void softmax_rows(const AttentionHead& head, index_t row, index_t rows, index_t padded, index_t depth,
                         const float* scores, T* weights, float* inverse) {
  using V = simd::F32<Arch>;
  constexpr index_t few = GemmTile<Arch>::rows;
  const float factor = head.scale * simd::kLog2E;
  for (index_t first = 0; first < rows; first += few) {
    const index_t end = std::min(rows, first + few);
    float most[few];
    typename V::Batch total[few];
    for (index_t r = first; r < end; ++r) {
      most[r - first] = greatest_of<Arch>(scores + r * padded, head.seen(row + r));
    }
    for (index_t r = first; r < end; ++r) {
      total[r - first] = weights_of<Arch>(scores + r * padded, head.seen(row + r), depth, factor, most[r - first],
                                          weights + r * padded);
    }
    for (index_t r = first; r < end; ++r) inverse[r] = 1.0f / V::sum(total[r - first]);
  }
}

/// 32-bit words of scratch for `keys` keys: K^T and V in panels, then the scores of one row block and their weights.
template <class Arch>
inline index_t attention_head_scratch(index_t keys, index_t head_width) {
  const index_t padded = whole_panels<Arch>(DataType::f32, keys);
  const auto words = [](index_t depth) {
    return std::max(column_words<ProductF32<Arch>>(depth), column_words<ProductBf16<Arch>>(depth));
  };
  return padded * words(head_width) + words(keys) * whole_panels<Arch>(DataType::f32, head_width) +
         2 * GemmTile<Arch>::rows * padded;
}

template <class Arch, class Product>
inline void attention_head_of(const AttentionHead& head) {
  using T = std::conditional_t<Product::type == DataType::bf16, std::uint16_t, float>;
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t mr = gemm_rows<Arch>(Product::type);
  const index_t padded = whole_panels<Arch>(Product::type, head.keys);
  const index_t key_words = column_words<Product>(head.head_width);
  constexpr index_t step = Product::step / static_cast<index_t>(size_of(Product::type));  // keys
  // not to padded_depth, which is two steps of most products: attention to 50 keys took 1.03 times as long
  const auto whole_steps = [](index_t n) { return (n + step - 1) / step * step; };
  const index_t values_deep = whole_steps(head.keys);
  const index_t value_words = values_deep / k_step(Product::type);
  auto* keys = reinterpret_cast<std::uint32_t*>(head.scratch);
  auto* values = keys + padded * key_words;
  auto* scores = reinterpret_cast<float*>(
      values + value_words * whole_panels<Arch>(Product::type, head.head_width));  // [MR, padded]
  T* weights;                                                                      // [MR, padded]
  if constexpr (Product::type == DataType::bf16) {
    weights = reinterpret_cast<std::uint16_t*>(scores + mr * padded);
  } else {
    weights = scores;
  }
  pack_keys<Arch, Product>(head, keys);
  pack_values<Arch>(head, static_cast<const T*>(head.v.data), values_deep, values);

  for (index_t row = 0; row < head.queries; row += mr) {
    const index_t rows = head.queries - row < mr ? head.queries - row : mr;
    const index_t visible = head.seen(row + rows - 1);  // to the block's last row
    const index_t depth = whole_steps(visible);
    for (index_t first = 0; first < visible; first += nr) {
      Epilogue epilogue;
      epilogue.out = scores + first;
      epilogue.out_stride = padded;
      const index_t columns = visible - first < nr ? visible - first : nr;
      const index_t steps = steps_of<Product>(head.head_width);
      gemm_any<Arch, Product>(rows, {head.q.from_row(row), keys + first * key_words, steps, columns}, epilogue);
    }
    float inverse[mr];
    softmax_rows<Arch>(head, row, rows, padded, depth, scores, weights, inverse);
    for (index_t first = 0; first < head.head_width; first += nr) {
      const Epilogue epilogue = store_to(head.out.data, head.out.stride, head.out.type);
      const index_t columns = head.head_width - first < nr ? head.head_width - first : nr;
      TileInput in{{weights, padded, Product::type}, values + first * value_words, depth / step, columns};
      in.row_factor = inverse;
      gemm_any<Arch, Product>(rows, in, epilogue.from(row, first));
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

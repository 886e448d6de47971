// Cosines and logits of pictures and texts.  Layer 6; part of similarity.hpp.
// openai/CLIP clip/model.py, CLIP.forward.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <string>
#include <vector>

#include "clipon/model.hpp"

namespace clipon::inline CLIPON_ABI {

namespace detail {
inline void check_same_width(const ConstMatrixRef& a, const ConstMatrixRef& b) {
  if (a.cols() != b.cols() || a.cols() == 0) {
    throw Error(ErrorCode::invalid_argument, "embeddings: expected the same width, above 0, found " +
                                                 std::to_string(a.cols()) + " and " + std::to_string(b.cols()));
  }
}

inline bool is_finite_row(const ConstMatrixRef& rows, Eigen::Index i) {
  return is_finite({rows.data() + i * rows.outerStride(), static_cast<std::size_t>(rows.cols())});
}

/// Throws Error not_finite, naming the row: `name` 3.
inline void check_finite_rows(const ConstMatrixRef& rows, const char* name) {
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    if (!is_finite_row(rows, i)) {
      throw Error(ErrorCode::not_finite,
                  name + (" " + std::to_string(i)) + ": expected finite numbers, found NaN or infinity");
    }
  }
}

/// The rows of m, packed as the right side of a product.
inline kernels::PackedMatrix pack_rows(const kernels::Context& context, const ConstMatrixRef& m) {
  std::vector<float> rows;  // contiguous
  rows.reserve(static_cast<std::size_t>(m.size()));
  for (Eigen::Index i = 0; i < m.rows(); ++i) {
    const float* row = m.data() + i * m.outerStride();
    rows.insert(rows.end(), row, row + m.cols());
  }
  return {context, kernels::StoredMatrix{rows.data(), nullptr, DataType::f32, m.rows(), m.cols()}};
}

/// a [n, d] and b [m, d] -> a b^T + bias [n, m]; bias: [m], or null for none.  Throws Error invalid_argument for two
/// widths.
inline Matrix product_of_rows(const kernels::Context& context, const ConstMatrixRef& a, const ConstMatrixRef& b,
                              const float* bias = nullptr) {
  check_same_width(a, b);
  Matrix out(a.rows(), b.rows());
  if (out.size() == 0) return out;
  kernels::Epilogue epilogue = kernels::store_to(out.data(), out.cols(), DataType::f32);
  epilogue.bias = bias;
  kernels::gemm(context, {a.data(), a.outerStride()}, a.rows(), pack_rows(context, b), epilogue);
  return out;
}

/// The columns of m [n, d], packed as the right side of a product: a row of it stands for a column of m.
inline kernels::PackedMatrix pack_columns(const kernels::Context& context, const ConstMatrixRef& m) {
  std::vector<float> columns(static_cast<std::size_t>(m.size()));
  for (Eigen::Index i = 0; i < m.rows(); ++i) {
    for (Eigen::Index k = 0; k < m.cols(); ++k) columns[static_cast<std::size_t>(k * m.rows() + i)] = m(i, k);
  }
  return {context, kernels::StoredMatrix{columns.data(), nullptr, DataType::f32, m.cols(), m.rows()}};
}

/// body(first, count, products) for blocks of rows of a [n, d]: products [count, w.rows()] of a's rows first .. and
/// W's, with 3 floats more to read past their end.  No [n, w.rows()] matrix exists, so n may be large; blocks run on
/// the context's threads, in no particular order.
template <class Body>
void for_each_product_block(const kernels::Context& context, const ConstMatrixRef& a, const kernels::PackedMatrix& w,
                            const Body& body) {
  if (w.rows() == 0 || a.rows() == 0) return;
  constexpr index_t few = 64;                 // rows that pay for reading all of W once
  constexpr index_t floats = 256 * 1024 / 4;  // a quarter of a 1 MiB L2: the products are read again at once
  const index_t tile = context.kernels->gemm_rows(DataType::f32);
  const index_t wanted = std::max(few, std::min<index_t>(floats / w.rows(), 512));
  const index_t tiles = (wanted + tile - 1) / tile;  // a part of a tile costs as much as a whole one
  const index_t height = std::min<index_t>(tiles * tile, a.rows());
  const index_t blocks = (a.rows() + height - 1) / height;
  const index_t team = std::min<index_t>(context.threads.count, blocks);
  std::atomic<index_t> next{0};
  // A task a thread rather than a block: the system would map and clear such a buffer anew for each block.
  parallel::parallel_for(context.threads, team, [&](index_t) {
    AlignedBuffer<float> products(static_cast<std::size_t>(height * w.rows() + 3));
    const kernels::Epilogue epilogue = kernels::store_to(products.data(), w.rows(), DataType::f32);
    for (index_t block = next++; block < blocks; block = next++) {
      const index_t first = block * height;
      const index_t count = std::min(height, a.rows() - first);
      const kernels::Operand rows{a.data() + first * a.outerStride(), a.outerStride()};
      kernels::gemm({context.kernels, {1}}, rows, count, w, epilogue);
      body(first, count, products.data());
    }
  });
}
}  // namespace detail

/// The cosine of two embeddings of unit length.  Throws Error invalid_argument for two widths.
template <std::same_as<Vector> V>
[[nodiscard]] float similarity(const V& a, const V& b) {
  detail::check_same_width(Eigen::Map<const Matrix>(a.data(), 1, a.size()),
                           Eigen::Map<const Matrix>(b.data(), 1, b.size()));
  const FloatingPointScope scope;
  double sum = 0.0;
  for (Eigen::Index i = 0; i < a.size(); ++i) sum += double{a.data()[i]} * double{b.data()[i]};
  return computed(static_cast<float>(sum));
}
template <std::same_as<Vector> V>  // as columns of a matrix these would be many embeddings of one number each
Matrix similarity(const Model& model, const V& a, const V& b) = delete;
template <std::same_as<Vector> V>
Matrix logits(const Model& model, const V& a, const V& b) = delete;

/// Cosines of unit rows: images [n, d], texts [m, d] -> [n, m], in -1..1 up to rounding.  Throws Error
/// invalid_argument for two widths.
[[nodiscard]] inline Matrix similarity(const Model& model, const ConstMatrixRef& images, const ConstMatrixRef& texts) {
  return detail::product_of_rows(model.context(), images, texts);
}

/// logits_per_image [n, m] = scale * cosine + bias; logits_per_text is its transpose.  Throws as similarity
/// does.
[[nodiscard]] inline Matrix logits(const Model& model, const ConstMatrixRef& images, const ConstMatrixRef& texts) {
  const FloatingPointScope scope;
  Matrix out = similarity(model, images, texts);
  for (float* x = out.data(); x != out.data() + out.size(); ++x) *x = *x * model.logit_scale() + model.logit_bias();
  return out;
}

/// softmax of n numbers, in place, in double: exp(x - max) over its sum.
inline void softmax(float* x, std::size_t n) {
  if (n == 0) return;
  const FloatingPointScope scope;
  const float greatest = *std::max_element(x, x + n);
  double sum = 0.0;
  std::vector<double> e(n);
  for (std::size_t i = 0; i < n; ++i) sum += e[i] = std::exp(double{x[i]} - double{greatest});
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(e[i] / sum);
}

}  // namespace clipon::inline CLIPON_ABI

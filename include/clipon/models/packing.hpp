// Matrices that are checked and packed in one loop, once both towers have named theirs.  Layer 4; called by Builder.
// With loops for each matrix, threads would wait for each other hundreds of times, and bytes that were checked would
// have left L2 before they are packed.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "clipon/format/weights.hpp"
#include "clipon/kernels/packed_matrix.hpp"

namespace clipon::inline CLIPON_ABI::models {

inline kernels::StoredMatrix stored(const format::TensorView& view) {
  return {view.data, view.scale, view.type, view.rows, view.columns};
}

class Packing {
 public:
  /// Tensors of as many columns, one above the other, as one matrix.  There is room for its numbers: run() fills it.
  kernels::PackedMatrix add(const kernels::Context& context, const std::vector<format::UncheckedTensor>& tensors,
                            DataType type, kernels::Rows a) {
    Matrix matrix;
    index_t rows = 0;
    for (const format::UncheckedTensor& tensor : tensors) {
      matrix.tensors.push_back(tensor);
      matrix.parts.push_back(stored(tensor.view));
      rows += tensor.view.rows;
    }
    matrix.packed = kernels::PackedMatrix(context, rows, tensors[0].view.columns, type, a);
    if (rows == 0) return matrix.packed;  // only shapes
    matrix.first_group = groups_;
    groups_ += matrix.packed.groups();
    matrices_.push_back(std::move(matrix));
    return matrices_.back().packed;
  }

  /// Throws Error checksum_mismatch or not_finite, of the first tensor that is not as it should be.
  void run(const kernels::Context& context, const format::Weights& weights) {
    for (Matrix& matrix : matrices_) {
      matrix.found.resize(matrix.tensors.size() * static_cast<std::size_t>(matrix.packed.groups()));
    }
    parallel::parallel_for(context.threads, groups_, [&](index_t group) {
      const auto next = std::upper_bound(matrices_.begin(), matrices_.end(), group,
                                         [](index_t g, const Matrix& matrix) { return g < matrix.first_group; });
      Matrix& matrix = *(next - 1);
      group -= matrix.first_group;
      check(weights, matrix, group);
      const auto count = static_cast<index_t>(matrix.parts.size());
      matrix.packed.pack(*context.kernels, {matrix.parts.data(), count}, group);
    });
    for (const Matrix& matrix : matrices_) accept(weights, matrix);
    matrices_.clear();
    groups_ = 0;
  }

 private:
  struct Matrix {
    kernels::PackedMatrix packed;
    std::vector<format::UncheckedTensor> tensors;
    std::vector<kernels::StoredMatrix> parts;  // their views
    index_t first_group = 0;                   // among those of all matrices
    std::vector<format::TensorCheck> found;    // [groups, tensors]
  };

  // body(t, bytes): the bytes of tensor t among the rows of a group.
  template <class Body>
  static void for_each_part(const Matrix& matrix, index_t group, const Body& body) {
    index_t above = 0;
    for (std::size_t t = 0; t < matrix.tensors.size(); ++t) {
      const auto& [index, bytes, view] = matrix.tensors[t];
      const index_t first = std::clamp<index_t>(matrix.packed.first_row(group) - above, 0, view.rows);
      const index_t last = std::clamp<index_t>(matrix.packed.first_row(group + 1) - above, 0, view.rows);
      const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(view.rows);
      body(t, bytes.subspan(static_cast<std::size_t>(first) * row_bytes,
                            static_cast<std::size_t>(last - first) * row_bytes));
      above += view.rows;
    }
  }

  static void check(const format::Weights& weights, Matrix& matrix, index_t group) {
    format::TensorCheck* found = matrix.found.data() + static_cast<std::size_t>(group) * matrix.tensors.size();
    for_each_part(matrix, group, [&](std::size_t t, std::span<const std::byte> bytes) {
      found[t] = weights.check_bytes(matrix.tensors[t].index, bytes);
    });
  }

  static void accept(const format::Weights& weights, const Matrix& matrix) {
    std::vector<format::TensorCheck> whole(matrix.tensors.size());
    for (index_t group = 0; group < matrix.packed.groups(); ++group) {
      const format::TensorCheck* found = matrix.found.data() + static_cast<std::size_t>(group) * whole.size();
      for_each_part(matrix, group,
                    [&](std::size_t t, std::span<const std::byte> bytes) { whole[t].append(found[t], bytes.size()); });
    }
    for (std::size_t t = 0; t < whole.size(); ++t) weights.accept(matrix.tensors[t].index, whole[t]);
  }

  std::vector<Matrix> matrices_;
  index_t groups_ = 0;  // of all matrices
};

}  // namespace clipon::inline CLIPON_ABI::models

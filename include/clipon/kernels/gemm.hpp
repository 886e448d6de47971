// Matrix multiplication, the narrow interface that every layer uses: out = activation(A W^T + bias + residual).
// Layer 2. This is the driver: it blocks for the cache and divides the work over threads; it knows no instruction set.
// Each output element is one sum in the order of k (kernels/micro/gemm_f32.hpp), so neither the blocks nor the threads
// change a bit of the result.
#pragma once

#include <algorithm>

#include "clipon/core/aligned.hpp"
#include "clipon/kernels/table.hpp"
#include "clipon/parallel/parallel_for.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// What a layer computes with: the ISA's kernels and the threads of this call.
struct Context {
  const KernelTable* kernels = nullptr;
  parallel::Threads threads;
};

/// W [rows, columns] in the panel order of one ISA; made once, at load.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  PackedMatrix(const Context& context, const StoredMatrix& w)
      : rows_(w.rows), columns_(w.columns), panel_rows_(context.kernels->gemm_f32_columns) {
    const index_t panels = (rows_ + panel_rows_ - 1) / panel_rows_;
    values_ = AlignedBuffer<float>(static_cast<std::size_t>(panels * panel_rows_ * columns_));
    parallel::parallel_for(context.threads, panels, [&](index_t p) {
      context.kernels->pack_panel_f32(w, p * panel_rows_, values_.data() + p * panel_rows_ * columns_);
    });
  }

  [[nodiscard]] index_t rows() const { return rows_; }        // N: outputs
  [[nodiscard]] index_t columns() const { return columns_; }  // K: inputs
  [[nodiscard]] index_t panel_rows() const { return panel_rows_; }
  [[nodiscard]] std::size_t bytes() const { return values_.size() * sizeof(float); }
  [[nodiscard]] const float* panels_from(index_t row) const { return values_.data() + row * columns_; }

 private:
  index_t rows_ = 0;
  index_t columns_ = 0;
  index_t panel_rows_ = 1;
  AlignedBuffer<float> values_;  // [rows / NR][columns][NR]
};

// Half of a 1 MiB L2: a block of A stays there while all panels of W pass by once.
constexpr index_t kBlockBytes = 512 * 1024;

/// Rows of A that gemm_from computes at a time, of `columns` floats each.
inline index_t block_rows(const KernelTable& kernels, index_t columns) {
  const index_t rows = kBlockBytes / (columns * static_cast<index_t>(sizeof(float)));
  return std::max(rows / kernels.gemm_f32_rows, index_t{1}) * kernels.gemm_f32_rows;
}

// The epilogue of the block that starts at (row, column).
inline Epilogue block_epilogue(Epilogue epilogue, index_t row, index_t column) {
  epilogue.out += row * epilogue.out_stride + column;
  if (epilogue.bias != nullptr) epilogue.bias += column;
  if (epilogue.residual != nullptr) epilogue.residual += row * epilogue.residual_stride + column;
  return epilogue;
}

/// out [rows, w.rows()] from A [rows, w.columns()], row stride a_stride.
inline void gemm(const Context& context, const float* a, index_t a_stride, index_t rows, const PackedMatrix& w,
                 const Epilogue& epilogue) {
  if (rows <= 0) return;
  const index_t height = block_rows(*context.kernels, w.columns());
  const index_t blocks = (rows + height - 1) / height;
  // Enough pieces for the threads: whole row blocks where there are many, else panels of columns as well.
  const index_t panels = (w.rows() + w.panel_rows() - 1) / w.panel_rows();
  const index_t parts = context.threads.count <= 1 || blocks >= 4 * context.threads.count
                            ? 1
                            : std::min<index_t>(panels, 4 * context.threads.count);
  parallel::parallel_for(context.threads, blocks * parts, [&](index_t piece) {
    const index_t row = (piece / parts) * rows / blocks;
    const index_t last_row = (piece / parts + 1) * rows / blocks;
    const index_t column = (piece % parts) * panels / parts * w.panel_rows();
    const index_t last_column = std::min((piece % parts + 1) * panels / parts * w.panel_rows(), w.rows());
    GemmBlock block;
    block.a = a + row * a_stride;
    block.a_stride = a_stride;
    block.panels = w.panels_from(column);
    block.rows = last_row - row;
    block.columns = last_column - column;
    block.depth = w.columns();
    block.epilogue = block_epilogue(epilogue, row, column);
    context.kernels->gemm_f32(block);
  });
}

}  // namespace clipon::inline CLIPON_ABI::kernels

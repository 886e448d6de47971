// Matrix multiplication, the narrow interface that every layer uses: out = activation(A W^T + bias + residual).
// Layer 2. This is the driver: it blocks for the cache and divides the work over threads; it knows no instruction set.
// Each output element is one sum in the order of k (kernels/micro/gemm.hpp), so neither the blocks nor the threads
// change a bit of the result.
#pragma once

#include <algorithm>
#include <vector>

#include "clipon/kernels/profile.hpp"
#include "clipon/kernels/table.hpp"
#include "clipon/parallel/parallel_for.hpp"
#include "clipon/tensor/weight_memory.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// What a layer computes with: the ISA's kernels and the threads of this call.
struct Context {
  const KernelTable* kernels = nullptr;
  parallel::Threads threads;
  Profile* profile = nullptr;      // where operators tell their time; null: nowhere
  WeightMemory* memory = nullptr;  // where packed weights go; null: each matrix into memory of its own

  /// The same on the calling thread alone.
  [[nodiscard]] Context alone() const { return {kernels, {1}, profile, memory}; }
  /// One operator, timed until the end of the scope; times and calls are filled in.
  [[nodiscard]] ProfileSpan timed(const OperatorTime& operation) const { return {profile, threads.count, operation}; }
};

/// W [rows, columns] in the panel order of one ISA, in the type that is computed in; made once, at load.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  PackedMatrix(const Context& context, const StoredMatrix& w, DataType type = DataType::f32)
      : rows_(w.rows), columns_(w.columns), panel_rows_(context.kernels->panel_columns(type)), type_(type) {
    values_ = context.memory == nullptr ? WeightMemory::block_of(value_bytes()) : context.memory->take(value_bytes());
    if (type == DataType::i8) {
      column_scale_.resize(static_cast<std::size_t>(panels() * panel_rows_));
      column_sum_.resize(column_scale_.size());
    }
    parallel::parallel_for(context.threads, panels(), [&](index_t p) {
      PanelRows out{values_.get() + p * panel_bytes(), nullptr, nullptr, type};
      if (type == DataType::i8) {
        out.column_scale = column_scale_.data() + p * panel_rows_;
        out.column_sum = column_sum_.data() + p * panel_rows_;
      }
      context.kernels->pack_panel(w, p * panel_rows_, out);
    });
  }

  [[nodiscard]] index_t rows() const { return rows_; }        // N: outputs
  [[nodiscard]] index_t columns() const { return columns_; }  // K: inputs
  [[nodiscard]] index_t panel_rows() const { return panel_rows_; }
  [[nodiscard]] index_t panels() const { return (rows_ + panel_rows_ - 1) / panel_rows_; }
  [[nodiscard]] DataType type() const { return type_; }
  [[nodiscard]] std::size_t bytes() const { return value_bytes() + 8 * column_scale_.size(); }

  /// The part of a block that tells of W: outputs from `row`, the first of a panel, on.
  [[nodiscard]] GemmBlock block_from(index_t row) const {
    GemmBlock block;
    block.panels = values_.get() + row / panel_rows_ * panel_bytes();
    block.column_scale = column_scale_.empty() ? nullptr : column_scale_.data() + row;
    block.column_sum = column_sum_.empty() ? nullptr : column_sum_.data() + row;
    block.depth = columns_;
    return block;
  }

 private:
  [[nodiscard]] std::size_t value_bytes() const { return static_cast<std::size_t>(panels() * panel_bytes()); }
  [[nodiscard]] index_t panel_bytes() const {
    return panel_rows_ * padded_depth(type_, columns_) * static_cast<index_t>(size_of(type_));
  }

  index_t rows_ = 0;
  index_t columns_ = 0;
  index_t panel_rows_ = 1;
  DataType type_ = DataType::f32;
  WeightBytes values_;               // [rows / NR][padded columns / k_step][NR][k_step]
  std::vector<float> column_scale_;  // i8: [rows], padded to whole panels
  std::vector<float> column_sum_;    // i8: [rows], padded to whole panels
};

/// Rows of A that gemm computes at a time, of `columns` values each.
inline index_t block_rows(const KernelTable& kernels, index_t columns, DataType type) {
  const index_t rows = kernels.block_bytes / (columns * static_cast<index_t>(size_of(type)));
  return std::max(rows / kernels.gemm_rows, index_t{1}) * kernels.gemm_rows;
}

/// The pieces of a product: blocks of rows times parts of the columns, the latter of whole panels.
struct Pieces {
  index_t blocks = 1;
  index_t parts = 1;
};

/// Computes the pieces of a product on all threads.  place(block, row, column): gives the block that starts there its
/// rows of A and its epilogue.  next: the matrix of the product after this one, whose first panel is asked for already;
/// or null.
template <class Place>
void multiply(const Context& context, index_t rows, const PackedMatrix& w, const Pieces& pieces, const Place& place,
              const PackedMatrix* next = nullptr) {
  const index_t parts = pieces.parts;
  const parallel::Split shares(pieces.blocks * parts, context.threads);
  const auto row_of = [&](index_t block) { return block * rows / pieces.blocks; };
  const auto column_of = [&](index_t part) { return part * w.panels() / parts * w.panel_rows(); };
  parallel::parallel_for(context.threads, shares.n, [&](index_t piece) {
    const index_t row = row_of(piece / parts);
    const index_t column = column_of(piece % parts);
    GemmBlock block = w.block_from(column);
    block.rows = row_of(piece / parts + 1) - row;
    block.columns = std::min(column_of(piece % parts + 1), w.rows()) - column;
    const index_t share = shares.of(piece);  // whose thread goes on with the next piece of it, most often
    if (piece + 1 < shares.first(share + 1)) {
      block.panels_after = w.block_from(column_of((piece + 1) % parts)).panels;
    } else if (next != nullptr) {
      block.panels_after = next->block_from(next->panels() * share / shares.count * next->panel_rows()).panels;
    }
    place(block, row, column);
    context.kernels->gemm(block);
  });
}

/// out [rows, w.rows()] from A [rows, w.columns()], which has w's type.  next: see multiply.
inline void gemm(const Context& context, const Operand& a, index_t rows, const PackedMatrix& w,
                 const Epilogue& epilogue, const PackedMatrix* next = nullptr) {
  if (rows <= 0) return;
  const auto m = static_cast<double>(rows);
  const double operations = 2.0 * m * static_cast<double>(w.rows()) * static_cast<double>(w.columns());
  const auto span = context.timed({"gemm", w.type(), w.rows(), w.columns(), 0, m, operations});
  const index_t height = block_rows(*context.kernels, w.columns(), w.type());
  const index_t enough = 4 * context.threads.count;
  Pieces pieces{(rows + height - 1) / height, 1};  // whole row blocks where there are many, else columns as well
  if (context.threads.count > 1 && pieces.blocks < enough) pieces.parts = std::min(w.panels(), enough);
  const auto place = [&](GemmBlock& block, index_t row, index_t column) {
    block.a = a.from_row(row);
    block.epilogue = epilogue.from(row, column);
  };
  multiply(context, rows, w, pieces, place, next);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

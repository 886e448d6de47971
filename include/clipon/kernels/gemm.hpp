// Matrix multiplication, the narrow interface that every layer uses: out = activation(A W^T + bias + residual).
// Layer 2. This is the driver: it blocks for the cache and divides the work over threads; it knows no instruction set.
// Each output element is one sum in the order of k (kernels/micro/gemm.hpp) or, of rows in pairs, a fixed sequence of
// such sums (kernels/strassen.hpp), so neither the blocks nor the threads change a bit of the result.
#pragma once

#include <algorithm>

#include "clipon/kernels/packed_matrix.hpp"
#include "clipon/kernels/strassen.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Rows of A that gemm computes at a time, of `columns` values each.
inline index_t block_rows(const KernelTable& kernels, index_t columns, DataType type) {
  const index_t rows = kernels.block_bytes / (columns * static_cast<index_t>(size_of(type)));
  const index_t tile = kernels.gemm_rows(type);
  return std::max(rows / tile, index_t{1}) * tile;
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

/// out [rows, w.rows()] from A [rows, w.columns()], which has w's type; their number is even where w is in pairs.
/// next: see multiply.
inline void gemm(const Context& context, const Operand& a, index_t rows, const PackedMatrix& w,
                 const Epilogue& epilogue, const PackedMatrix* next = nullptr) {
  if (rows <= 0) return;
  const auto m = static_cast<double>(rows);
  const double products = w.in_pairs() ? 7.0 / 8.0 : 1.0;  // of those that the shape tells
  const double operations = products * 2.0 * m * static_cast<double>(w.rows()) * static_cast<double>(w.columns());
  const auto span = context.timed({"gemm", w.type(), w.rows(), w.columns(), 0, m, operations});
  check_rows(a.type, w.type());
  if (w.in_pairs()) return multiply_pairs(context, a, rows, w, epilogue, next);
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

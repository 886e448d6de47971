// Products of rows that come in pairs, a Vision Transformer's in f32: seven products of halves instead of eight, by
// Strassen's scheme (kernels/micro/strassen.hpp).  Layer 2; called by kernels/gemm.hpp.
//
// An output is a fixed sequence of operations on its pair of rows and its pair of W's panels, so it depends on no other
// row, and neither blocks nor threads change a bit of it.  Against single sums its error grows little: 1.2 times in a
// ViT-B/32's embedding (tests/kernels/test_strassen.cpp has the bound).
#pragma once

#include <algorithm>

#include "clipon/kernels/packed_matrix.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The memory of such a product: `pairs` pairs of rows of `depth` floats, on panels of `nr` columns.
struct PairMemory {
  index_t sums;      // floats of S1, S2, S3 and S4: [4][pairs, half]
  index_t a_thread;  // and of what each thread works in

  PairMemory(index_t pairs, index_t depth, index_t nr)
      : sums(4 * pairs * (depth / 2)), a_thread(depth / 2 * nr + 4 * pairs * nr) {}

  /// Floats for any product of up to `rows` rows and `depth` inputs.
  static index_t floats(const Context& context, index_t rows, index_t depth) {
    const PairMemory memory(rows / 2, depth, context.kernels->panel_columns(DataType::f32));
    return memory.sums + context.threads.count * memory.a_thread;
  }
};

/// One product: out = epilogue(A W^T).
class PairProduct {
 public:
  /// a [rows, w.columns()], an even number of rows.
  PairProduct(const Context& context, const Operand& a, index_t rows, const PackedMatrix& w, const Epilogue& epilogue)
      : context_(context),
        a_(a),
        w_(w),
        epilogue_(epilogue),
        pairs_(rows / 2),
        half_(w.columns() / 2),
        memory_(pairs_, w.columns(), w.panel_rows()) {}

  [[nodiscard]] index_t pairs() const { return pairs_; }

  /// S1, S2, S3 and S4 of all rows.
  void make_sums() const {
    constexpr index_t least = 4;  // pairs a thread
    parallel::parallel_ranges(context_.threads, pairs_, least, [&](index_t first, index_t count) {
      context_.kernels->strassen_sums({rows_from(first), a_.stride, count, half_, sums_from(first), pairs_ * half_});
    });
  }

  /// `count` pairs of rows against the panels from `column` on: two, or one where it is the last.  after: the panels
  /// that are wanted next; or null.
  void multiply(index_t first, index_t count, index_t column, const float* after, index_t thread) const {
    const index_t nr = w_.panel_rows();
    const Epilogue epilogue = epilogue_.from(2 * first, column);
    if (w_.rows() - column <= nr) {
      GemmBlock block = w_.block_from(column);
      block.a = a_.from_row(2 * first);
      block.rows = 2 * count;
      block.columns = w_.rows() - column;
      block.panels_after = after;
      block.epilogue = epilogue;
      context_.kernels->gemm(block);
      return;
    }
    StrassenBlock block;
    block.a = rows_from(first);
    block.a_stride = a_.stride;
    block.sums = sums_from(first);
    block.sum_stride = pairs_ * half_;
    block.pairs = count;
    block.half = half_;
    block.panels = static_cast<const float*>(w_.block_from(column).panels);
    block.columns = std::min(2 * nr, w_.rows() - column);
    block.panels_after = after;
    block.epilogue = epilogue;
    block.scratch = context_.pair_memory + memory_.sums + thread * memory_.a_thread;
    context_.kernels->strassen_block(block);
  }

 private:
  [[nodiscard]] const float* rows_from(index_t pair) const {
    return static_cast<const float*>(a_.data) + 2 * pair * a_.stride;
  }
  [[nodiscard]] float* sums_from(index_t pair) const { return context_.pair_memory + pair * half_; }

  const Context& context_;
  const Operand& a_;  // [2 pairs, 2 half]
  const PackedMatrix& w_;
  const Epilogue& epilogue_;
  index_t pairs_;
  index_t half_;
  PairMemory memory_;
};

/// out = epilogue(A W^T) for A [rows, w.columns()] and w in pairs.  next: see multiply in kernels/gemm.hpp.
/// Its pieces are counted in tiles of pairs of rows, panel by panel, so that they are nearly the same size however few
/// panels there are, and most begin and end with a panel.
inline void multiply_pairs(const Context& context, const Operand& a, index_t rows, const PackedMatrix& w,
                           const Epilogue& epilogue, const PackedMatrix* next) {
  const PairProduct product(context, a, rows, w, epilogue);
  product.make_sums();
  const index_t tile = context.kernels->gemm_rows;
  const index_t tiles = (product.pairs() + tile - 1) / tile;
  const index_t team = context.threads.count;
  const parallel::Split pieces(tiles * ((w.panels() + 1) / 2), team == 1 ? 1 : 4 * team);
  const parallel::Split shares(pieces.count, context.threads);
  const auto panels_of = [&](const PackedMatrix& matrix, index_t pair) {
    return static_cast<const float*>(matrix.block_from(2 * pair * matrix.panel_rows()).panels);
  };
  parallel::parallel_for_on_threads(context.threads, pieces.count, [&](index_t piece, index_t thread) {
    const index_t share = shares.of(piece);  // whose thread goes on with the next piece of it, most often
    const index_t share_end = pieces.first(shares.first(share + 1));
    const index_t end = pieces.first(piece + 1);
    for (index_t at = pieces.first(piece), after = at; at < end; at = after) {
      after = std::min((at / tiles + 1) * tiles, end);
      const float* panels_after = nullptr;
      if (after < share_end) {
        panels_after = panels_of(w, after / tiles);
      } else if (next != nullptr) {
        panels_after = panels_of(*next, next->panels() * share / shares.count / 2);
      }
      const index_t first = at % tiles * tile;
      const index_t count = std::min((after - at) * tile, product.pairs() - first);
      product.multiply(first, count, at / tiles * 2 * w.panel_rows(), panels_after, thread);
    }
  });
}

}  // namespace clipon::inline CLIPON_ABI::kernels

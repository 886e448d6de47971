// Products of rows that come in pairs, a Vision Transformer's in f32 and in i16: seven products of halves instead of
// eight, by Strassen's scheme (kernels/micro/strassen.hpp).  Layer 2; called by kernels/gemm.hpp, and by
// nn/transformer.hpp for its memory.
//
// An output is a fixed sequence of operations on its pair of rows and its pair of W's panels, so it depends on no other
// row, and neither blocks nor threads change a bit of it.  Against single sums its error grows little: 1.2 times in a
// ViT-B/32's embedding (tests/kernels/test_strassen.cpp has the bound).
#pragma once

#include <algorithm>

#include "clipon/kernels/packed_matrix.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The memory of such a product, in floats: `pairs` pairs of rows of `depth` elements, on panels of weights.
struct PairMemory {
  index_t self_products;  // i16: [7][pairs], of the rows with themselves
  index_t sums;           // S1, S2, S3 and S4: [4][pairs, half] elements
  index_t a_thread;       // what each thread works in

  /// w: any of the weights, which are alike but for their shapes.
  PairMemory(const PackedMatrix& w, index_t pairs, index_t depth)
      : self_products(is_integer(w.type()) ? 7 * pairs : 0),
        sums(4 * pairs * (depth / 2) / k_step(w.type())),
        a_thread((w.stored_bf16() ? 2 * depth * w.panel_rows() : 0) + depth / 2 / k_step(w.type()) * w.panel_rows() +
                 4 * pairs * w.panel_rows()) {}

  /// For any product of up to `rows` rows and `depth` inputs.
  static index_t floats(const Context& context, const PackedMatrix& w, index_t rows, index_t depth) {
    const PairMemory memory(w, rows / 2, depth);
    return memory.self_products + memory.sums + context.threads.count * memory.a_thread;
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
        memory_(w, pairs_, w.columns()) {}

  [[nodiscard]] index_t pairs() const { return pairs_; }

  /// S1, S2, S3 and S4 of all rows.
  void make_sums() const {
    constexpr index_t least = 4;  // pairs a thread
    parallel::parallel_ranges(context_.threads, pairs_, least, [&](index_t first, index_t count) {
      context_.kernels->strassen_sums(
          {a_.from_row(2 * first), count, half_, sums_from(first), pairs_ * half_, self_products_from(first), pairs_});
    });
  }

  /// `count` pairs of rows against the panels from `column` on: two, or one where it is the last.  after: the panels
  /// that are wanted next; or null.
  void multiply(index_t first, index_t count, index_t column, const void* after, index_t thread) const {
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
    const GemmBlock w = w_.block_from(column);
    StrassenBlock block;
    block.a = a_.from_row(2 * first);
    block.sums = sums_from(first);
    block.sum_stride = pairs_ * half_;
    block.self_products = self_products_from(first);
    block.self_stride = pairs_;
    block.pairs = count;
    block.half = half_;
    block.panels = w.panels;
    block.column_scale = w.column_scale;
    block.column_sum = w.column_sum;
    block.stored_bf16 = w.stored_bf16;
    block.columns = std::min(2 * nr, w_.rows() - column);
    block.panels_after = after;
    block.epilogue = epilogue;
    block.scratch = context_.pair_memory + memory_.self_products + memory_.sums + thread * memory_.a_thread;
    context_.kernels->strassen_block(block);
  }

 private:
  [[nodiscard]] std::uint32_t* self_products_from(index_t pair) const {
    return reinterpret_cast<std::uint32_t*>(context_.pair_memory) + pair;
  }
  [[nodiscard]] float* sums_from(index_t pair) const {
    return context_.pair_memory + memory_.self_products + pair * half_ / k_step(w_.type());
  }

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
  const index_t tile = context.kernels->gemm_rows(w.type());
  const index_t tiles = (product.pairs() + tile - 1) / tile;
  const index_t team = context.threads.count;
  const parallel::Split pieces(tiles * ((w.panels() + 1) / 2), team == 1 ? 1 : 4 * team);
  const parallel::Split shares(pieces.count, context.threads);
  const auto panels_of = [&](const PackedMatrix& matrix, index_t pair) {
    return matrix.block_from(2 * pair * matrix.panel_rows()).panels;
  };
  parallel::parallel_for_on_threads(context.threads, pieces.count, [&](index_t piece, index_t thread) {
    const index_t share = shares.of(piece);  // whose thread goes on with the next piece of it, most often
    const index_t share_end = pieces.first(shares.first(share + 1));
    const index_t end = pieces.first(piece + 1);
    for (index_t at = pieces.first(piece), after = at; at < end; at = after) {
      after = std::min((at / tiles + 1) * tiles, end);
      const void* panels_after = nullptr;
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

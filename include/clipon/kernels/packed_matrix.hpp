// Weights in the order that products read.  Layer 2.
#pragma once

#include <algorithm>
#include <string>

#include "clipon/error.hpp"
#include "clipon/kernels/context.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// How the rows of A come: each for itself, or in pairs that belong together, for Strassen's products.
enum class Rows : std::uint8_t { single, in_pairs };

/// W [rows, columns] in the panel order of one ISA, in the type that is computed in, or bf16 for f32; made once, at
/// load.  Copies share the memory.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Rows::in_pairs: where seven products of halves are faster than eight, else as for single rows.
  PackedMatrix(const Context& context, const StoredMatrix& w, DataType type = DataType::f32, Rows a = Rows::single)
      : PackedMatrix(context, w.rows, w.columns, type, a) {
    parallel::parallel_for(context.threads, groups(), [&](index_t group) { pack(*context.kernels, {&w, 1}, group); });
  }

  /// Room for a matrix: pack() each group.
  PackedMatrix(const Context& context, index_t rows, index_t columns, DataType type, Rows a)
      : rows_(rows),
        columns_(columns),
        type_(operand_type(*context.kernels, type)),
        panel_rows_(context.kernels->panel_columns(type_)),
        stored_bf16_(type == DataType::bf16 && type_ == DataType::f32) {
    if (is_integer(type_) && columns_ > kMostIntegerDepth) {
      throw Error(ErrorCode::limit_exceeded, "weights: expected at most " + std::to_string(kMostIntegerDepth) +
                                                 " inputs to compute in int8, found " + std::to_string(columns_));
    }
    const auto memory = [&](std::size_t bytes) {
      return context.memory == nullptr ? WeightMemory::block_of(bytes) : context.memory->take(bytes);
    };
    values_ = memory(value_bytes());
    column_scale_ = memory(column_bytes());
    column_sum_ = memory(column_bytes());
    const bool by_halves = type_ == DataType::f32 ? columns_ % 2 == 0 : type_ == DataType::i16 && columns_ % 8 == 0;
    in_pairs_ = a == Rows::in_pairs && by_halves && columns_ >= kLeastPairDepth && panels() >= 2;
  }

  /// Panels that are packed together, since their sums are in one of them.
  [[nodiscard]] index_t groups() const { return (panels() + panels_together() - 1) / panels_together(); }
  /// The first row of a group, or after the last one.
  [[nodiscard]] index_t first_row(index_t group) const {
    return std::min(group * panels_together() * panel_rows_, rows_);
  }

  /// Some rows of W, a group of them, from any thread.  w: W, or its rows from `skipped` on.
  void pack(const KernelTable& kernels, const StoredStack& w, index_t group, index_t skipped = 0) {
    const index_t first = group * panels_together();
    const index_t last = std::min(first + panels_together(), panels());
    for (index_t p = first; p < last; ++p) {
      PanelRows out{values_.get() + p * panel_bytes(), nullptr, nullptr, type_, stored_bf16_};
      if (is_integer(type_)) {
        out.column_scale = column_scale() + p * panel_rows_;
        out.column_sum = column_sum() + p * panel_rows_;
      }
      kernels.pack_panel(w, p * panel_rows_ - skipped, out);
    }
    if (last - first == 2) {
      kernels.strassen_panels({values_.get() + first * panel_bytes(), columns_ / 2, type_});
    }
  }

  /// All of them, on the calling thread.
  void pack(const KernelTable& kernels, const StoredMatrix& w) {
    for (index_t group = 0; group < groups(); ++group) pack(kernels, {&w, 1}, group);
  }

  [[nodiscard]] index_t rows() const { return rows_; }        // N: outputs
  [[nodiscard]] index_t columns() const { return columns_; }  // K: inputs
  [[nodiscard]] index_t panel_rows() const { return panel_rows_; }
  [[nodiscard]] index_t panels() const { return (rows_ + panel_rows_ - 1) / panel_rows_; }
  [[nodiscard]] DataType type() const { return type_; }            // of A's rows
  [[nodiscard]] bool stored_bf16() const { return stored_bf16_; }  // bf16 that is widened to f32
  [[nodiscard]] bool in_pairs() const { return in_pairs_; }        // A's rows must be
  [[nodiscard]] std::size_t bytes() const { return value_bytes() + 2 * column_bytes(); }

  /// A block with the fields that describe W filled in: outputs from `row`, the first of a panel, on.
  [[nodiscard]] GemmBlock block_from(index_t row) const {
    GemmBlock block;
    block.panels = values_.get() + row / panel_rows_ * panel_bytes();
    block.column_scale = is_integer(type_) ? column_scale() + row : nullptr;
    block.column_sum = is_integer(type_) ? column_sum() + row : nullptr;
    block.depth = columns_;
    block.stored_bf16 = stored_bf16_;
    return block;
  }

 private:
  static constexpr index_t kMostIntegerDepth = 65793;  // (2^31 - 1) / (255 * 128): sums have 32 bits

  /// What goes into and out of a tile counts for more where it is short.  On one thread (Zen 4; bench_micro's columns
  /// "clipon" and "in pairs", with this constant lowered) pairs were 1.00 to 1.02 times as fast at a depth of 128, 1.02
  /// to 1.05 at 256, 1.08 at 512 and 1.10 at 768 on avx512; 0.97 to 1.02 at 256 and 1.04 to 1.06 at 384 on avx2, whose
  /// tiles are a quarter as large.
  static constexpr index_t kLeastPairDepth = 256;

  // Of f32, whose panels' sums need more bits than bf16 has, and of 16-bit integers.
  [[nodiscard]] index_t panels_together() const { return in_pairs_ && !stored_bf16_ ? 2 : 1; }
  [[nodiscard]] float* column_scale() const { return reinterpret_cast<float*>(column_scale_.get()); }
  [[nodiscard]] float* column_sum() const { return reinterpret_cast<float*>(column_sum_.get()); }
  [[nodiscard]] std::size_t column_bytes() const {  // of either
    return is_integer(type_) ? static_cast<std::size_t>(panels() * panel_rows_) * sizeof(float) : 0;
  }
  [[nodiscard]] std::size_t value_bytes() const { return static_cast<std::size_t>(panels() * panel_bytes()); }
  [[nodiscard]] index_t panel_bytes() const {
    const std::size_t element = size_of(stored_bf16_ ? DataType::bf16 : type_);
    const index_t steps = padded_depth(type_, columns_) * static_cast<index_t>(element);
    return panel_rows_ * (panel_head(type_) * 4 + steps);
  }

  index_t rows_ = 0;
  index_t columns_ = 0;
  DataType type_ = DataType::f32;
  index_t panel_rows_ = 1;
  bool stored_bf16_ = false;
  bool in_pairs_ = false;
  WeightBytes values_;        // [rows / NR], each as PanelRows says
  WeightBytes column_scale_;  // integers: [rows] floats, padded to whole panels
  WeightBytes column_sum_;    // the same
};

}  // namespace clipon::inline CLIPON_ABI::kernels

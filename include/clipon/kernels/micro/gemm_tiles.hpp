// The matrix multiplication's loops over tiles (AMX): bf16 and int8.  Called by gemm_by_type.hpp and
// attention_on_tiles.hpp.  Per ISA.
//
// An epilogue takes from a tenth (bias) to half (QuickGELU) of the time that 32 x 32 sums of depth 768 take, and loads
// wait for the tiles' stores.  So the sums of one pair are finished between the steps of the next, whose tiles leave
// the vector units idle.
#pragma once

#include <algorithm>

#include "clipon/kernels/micro/finish_tile.hpp"
#include "clipon/kernels/micro/gemm.hpp"
#include "clipon/kernels/micro/tile_pair.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Sums that stay as they are: out [rows, columns], rows `stride` floats apart, in whole panels.
template <class Arch>
struct PlainSums {
  float* out;
  index_t stride;

  [[nodiscard]] float* place(index_t row, index_t column) const { return out + row * stride + column; }
  [[nodiscard]] index_t bytes_a_row() const { return stride * 4; }
  void between() const {}
  void add(index_t, index_t, index_t, index_t, index_t) const {}
  void finish() const {}
};

/// Sums that wait for their epilogue: epilogue(sums, row, rows, column, columns).
template <class Stored, class Finish>
class WaitingSums {
 public:
  explicit WaitingSums(const Finish& epilogue) : epilogue_(epilogue) {}

  /// Where the next sums go.
  [[nodiscard]] Stored* place(index_t, index_t) { return memory_[added_ % 2]; }
  [[nodiscard]] static index_t bytes_a_row() { return kPanelStep; }

  /// The sums at place() are complete; about `steps` calls of between() follow before the next ones are.
  void add(index_t row, index_t rows, index_t column, index_t columns, index_t steps) {
    finish();
    row_ = row;
    rows_ = rows;
    column_ = column;
    columns_ = columns;
    done_ = 0;
    due_ = 0;
    rate_ = steps > 0 ? (rows << kFraction) / steps + 1 : 0;
    ++added_;
  }
  void between() {
    due_ += rate_;
    const index_t due = due_ >> kFraction;
    if (done_ < rows_ && due >= done_ + kAtATime) finish_to(due < rows_ ? due : rows_);
  }
  void finish() {
    if (done_ < rows_) finish_to(rows_);
  }

 private:
  static constexpr int kFraction = 8;
  static constexpr index_t kAtATime = 8;  // rows: 2, 4 and 32 were slower

  void finish_to(index_t end) {
    const Stored* sums = memory_[(added_ - 1) % 2] + done_ * kTilePanel;
    epilogue_(sums, row_ + done_, end - done_, column_, columns_);
    done_ = end;
  }

  const Finish& epilogue_;
  alignas(64) Stored memory_[2][kPairRows * kTilePanel];
  index_t added_ = 0;
  index_t row_ = 0;
  index_t rows_ = 0;
  index_t column_ = 0;
  index_t columns_ = 0;
  index_t done_ = 0;
  index_t due_ = 0;   // rows that should be done, in 1 / 2^kFraction
  index_t rate_ = 0;  // a call of between()
};

/// A of the block times its panels of W, one after the other; `sums` takes what comes out.  The rows are cut into pairs
/// of nearly equal height.
template <class Tiles, DataType type, class Sums>
inline void multiply_panels(const GemmBlock& block, Sums& sums) {
  if (block.rows <= 0) return;
  const index_t depth_bytes = padded_depth(type, block.depth) * static_cast<index_t>(size_of(type));
  const index_t pairs = (block.rows + kPairRows - 1) / kPairRows;
  const index_t height = ((block.rows + pairs - 1) / pairs + 1) / 2;
  const auto* a = static_cast<const unsigned char*>(block.a.data);
  alignas(64) unsigned char last[kPanelTile];
  TilePair pair;
  pair.stride = block.a.stride * static_cast<index_t>(size_of(type));
  pair.panel = static_cast<const unsigned char*>(block.panels);
  pair.steps = depth_bytes / simd::kTileBytes;
  pair.left = depth_bytes % simd::kTileBytes;
  pair.part_steps = pair.steps;
  if (block.windows.part_stride > 0) {
    pair.parts = 3;
    pair.part_steps = pair.steps / 3;
    pair.part_stride = block.windows.part_stride * static_cast<index_t>(size_of(type));
  }
  pair.last = last;
  pair.sums_stride = sums.bytes_a_row();
  if (pair.left > 0) std::memset(last, 0, sizeof last);
  Tiles tiles;
  tiles.configure(static_cast<int>(height));
  for (index_t column = 0; column < block.columns; column += kTilePanel) {
    const index_t columns = block.columns - column < kTilePanel ? block.columns - column : kTilePanel;
    const unsigned char* next_panel = pair.panel + kTilePanel * depth_bytes;
    const bool is_last = column + columns == block.columns;
    pair.next = is_last ? static_cast<const unsigned char*>(block.panels_after) : next_panel;
    pair.lines = pair.next == nullptr ? 0 : (kPanelTile / 64 + pairs - 1) / pairs;  // spread over all of the rows
    const unsigned char* const next_end = pair.next == nullptr ? nullptr : pair.next + pair.steps * kPanelTile;
    if (pair.left > 0) {
      const index_t bytes = pair.left / 4 * kPanelStep;
      std::memcpy(last, pair.panel + pair.steps * kPanelTile, static_cast<std::size_t>(bytes));
    }
    for (index_t p = 0; p < pairs; ++p) {
      const index_t row = p * block.rows / pairs;
      pair.rows = (p + 1) * block.rows / pairs - row;
      pair.lower = pair.rows - height;
      pair.a = a + row * pair.stride;
      pair.sums = reinterpret_cast<unsigned char*>(sums.place(row, column));
      const auto between = [&] { sums.between(); };
      if (pair.parts > 1) {
        multiply_pair<Tiles, type, true>(tiles, pair, columns, block.rows > 1, between);
      } else {
        multiply_pair<Tiles, type, false>(tiles, pair, columns, block.rows > 1, between);
      }
      sums.add(row, pair.rows, column, columns, pair.steps);
      if (pair.lines > 0) pair.next += pair.steps * pair.lines * 64;
      if (pair.next >= next_end) pair.lines = 0;  // all of it is prefetched
    }
    pair.panel = next_panel;
  }
  tiles.release();
  sums.finish();
}

// each(row, rows, out): the runs of rows row .. end of A that are outputs, and where these begin.
template <class Each>
inline void for_each_run(const Windows& windows, index_t row, index_t end, const Each& each) {
  if (windows.part_stride == 0) return each(row, end - row, row);
  while (row < end) {
    const index_t window = windows.first + row;
    const index_t line = window / (windows.width + 1);
    const index_t x = window % (windows.width + 1);
    const index_t map = line / (windows.height + 1);
    const index_t y = line % (windows.height + 1);
    const index_t rows = y == windows.height ? 0 : std::min(windows.width - x, end - row);
    if (rows > 0) each(row, rows, (map * windows.height + y) * windows.width + x);
    row += windows.width + 1 - x;
  }
}

/// The block of one thread, as in gemm.hpp.
template <class Arch, class Tiles, DataType type>
inline void gemm_block_tiles(const GemmBlock& block) {
  using Stored = std::conditional_t<type == DataType::i8, std::int32_t, float>;
  const auto finish_run = [&](const Stored* sums, index_t row, index_t rows, index_t out, index_t column,
                              index_t columns) {
    const Epilogue epilogue = block.epilogue.from(out, column);
    if constexpr (type == DataType::i8) {
      const IntegerScales scales{block.a.scales + row, block.column_scale + column, block.column_sum + column};
      finish_tile<Arch>(ScaledSums<Arch>{sums, kTilePanel, scales}, rows, columns, epilogue);
    } else {
      finish_tile<Arch>(FloatSums<Arch>{sums, kTilePanel}, rows, columns, epilogue);
    }
  };
  const auto finish = [&](const Stored* sums, index_t first, index_t count, index_t column, index_t columns) {
    for_each_run(block.windows, first, first + count, [&](index_t row, index_t rows, index_t out) {
      finish_run(sums + (row - first) * kTilePanel, row, rows, out, column, columns);
    });
  };
  if constexpr (type == DataType::bf16) {
    const bool whole = block.windows.part_stride == 0 && block.columns % kTilePanel == 0;
    if (whole && is_sum(block.epilogue) && block.epilogue.residual == nullptr) {
      PlainSums<Arch> plain{static_cast<float*>(block.epilogue.out), block.epilogue.out_stride};
      return multiply_panels<Tiles, type>(block, plain);
    }
  }
  WaitingSums<Stored, decltype(finish)> sums(finish);
  multiply_panels<Tiles, type>(block, sums);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// What goes through the table of kernels: structs and enums, and what both sides must do alike.  Layer 2.
// Both sides of the table include this: the per-ISA units and the drivers above them.
#pragma once

#include "clipon/core/types.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

enum class Activation : std::uint8_t {
  none,
  quick_gelu,  // x sigmoid(1.702 x): openai/CLIP clip/model.py, QuickGELU
  gelu,        // x Phi(x), by erf
  gelu_tanh,   // GELU's tanh approximation
  relu,
};

/// A row of int8 activations: byte u stands for scale * (u - zero).
struct RowScale {
  float scale = 0.0f;
  float zero = 0.0f;               // a whole number
  std::uint32_t self_product = 0;  // i16: the row's products with itself (kernels/micro/word_product.hpp)
};

/// Rows that a product reads, in the type that it computes in: f32, bf16, or the bytes 0..255 with a RowScale a row, as
/// i8 or i16.  All but f32 rows are padded by zeros to padded_depth(type) elements.
struct Operand {
  const void* data = nullptr;  // [rows, depth], row stride `stride`
  index_t stride = 0;          // in elements
  DataType type = DataType::f32;
  const RowScale* scales = nullptr;  // [rows] of integers

  /// What starts at (row, column).
  [[nodiscard]] CLIPON_ALWAYS_INLINE Operand from(index_t row, index_t column) const {
    const auto* start =
        static_cast<const unsigned char*>(data) + (row * stride + column) * static_cast<index_t>(size_of(type));
    return {start, stride, type, scales == nullptr ? nullptr : scales + row};
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE Operand from_row(index_t row) const { return from(row, 0); }
};

/// Elements of K in 32 bits, which one instruction takes a row of.
constexpr index_t k_step(DataType type) {
  return 4 / static_cast<index_t>(size_of(type));
}
/// Whole steps of elements on every ISA: f32 takes them one by one, the others up to 64 bits at a time.
constexpr index_t padded_depth(DataType type, index_t depth) {
  const index_t together = type == DataType::f32 ? 1 : 2 * k_step(type);
  return (depth + together - 1) / together * together;
}
/// Rows [NR] of 32 bits that stand before the steps of a packed panel: see kernels/micro/word_product.hpp.
constexpr index_t panel_head(DataType type) {
  return type == DataType::i16 ? 4 : 0;
}

/// An Operand to be written.
struct OperandRows {
  void* data = nullptr;
  index_t stride = 0;
  DataType type = DataType::f32;
  RowScale* scales = nullptr;

  [[nodiscard]] CLIPON_ALWAYS_INLINE Operand read() const { return {data, stride, type, scales}; }
  [[nodiscard]] CLIPON_ALWAYS_INLINE OperandRows from(index_t row, index_t column) const {
    auto* start = static_cast<unsigned char*>(data) + (row * stride + column) * static_cast<index_t>(size_of(type));
    return {start, stride, type, scales == nullptr ? nullptr : scales + row};
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE OperandRows from_row(index_t row) const { return from(row, 0); }
};

/// What happens to a sum before it is stored: out = activation(sum + bias + residual).
struct Epilogue {
  float* out = nullptr;               // [rows, columns], row stride out_stride; unused where out_bf16 is not null
  std::uint16_t* out_bf16 = nullptr;  // the same, rounded to bf16
  index_t out_stride = 0;             // in elements
  const float* bias = nullptr;        // [columns] or null
  const float* residual = nullptr;    // [rows, columns], row stride residual_stride, or null; may be `out` itself
  const std::uint16_t* residual_bf16 = nullptr;  // the same in bf16; one of the two at most
  index_t residual_stride = 0;
  Activation activation = Activation::none;

  /// What happens from (row, column) on.
  [[nodiscard]] CLIPON_ALWAYS_INLINE Epilogue from(index_t row, index_t column) const {
    Epilogue moved = *this;
    const index_t at = row * out_stride + column;
    if (out != nullptr) moved.out += at;
    if (out_bf16 != nullptr) moved.out_bf16 += at;
    if (bias != nullptr) moved.bias += column;
    if (residual != nullptr) moved.residual += row * residual_stride + column;
    if (residual_bf16 != nullptr) moved.residual_bf16 += row * residual_stride + column;
    return moved;
  }
};

/// Whether sums are stored as they are or added to a residual: attention's scores, Winograd's and Strassen's products,
/// which take so few steps of k that an epilogue which changes nothing would be felt.
CLIPON_ALWAYS_INLINE bool is_sum(const Epilogue& epilogue) {
  return epilogue.activation == Activation::none && epilogue.out_bf16 == nullptr && epilogue.bias == nullptr &&
         epilogue.residual_bf16 == nullptr;
}

/// The epilogue that stores sums as they are at [*, columns], f32 or bf16, rows `stride` elements apart.
CLIPON_ALWAYS_INLINE Epilogue store_to(void* data, index_t stride, DataType type) {
  Epilogue epilogue;
  if (type == DataType::f32) {
    epilogue.out = static_cast<float*>(data);
  } else {
    epilogue.out_bf16 = static_cast<std::uint16_t*>(data);
  }
  epilogue.out_stride = stride;
  return epilogue;
}

/// Where the rows of A are the windows of a 3 x 3 convolution's padded maps (nn/tile_conv.hpp), which overlap: window q
/// begins at pixel q and consists of three parts, of three pixels and what fills a tile, a line of the maps apart.  The
/// lines have a pixel more than `width`, the maps a line more than `height`: windows that begin there are no outputs.
struct Windows {
  index_t part_stride = 0;  // elements from a part to the next; 0: A has rows as any other matrix
  index_t height = 0;       // of a map
  index_t width = 0;
  index_t first = 0;  // the window that is row 0
};

/// out = epilogue(A W^T) for some rows of A and some panels of W.
struct GemmBlock {
  Operand a;                            // [rows, depth]
  const void* panels = nullptr;         // packed W of a's type, see pack_panel: [columns / NR][padded depth][NR]
  const float* column_scale = nullptr;  // integers: [columns] scales of W's rows
  const float* column_sum = nullptr;    // integers: [columns] sums of W's rows
  index_t rows = 0;
  index_t columns = 0;
  index_t depth = 0;
  bool stored_bf16 = false;            // f32: the panels are bf16, [columns / NR][depth][NR]
  const void* panels_after = nullptr;  // the panel that is wanted next, most often; null: not known
  Epilogue epilogue;                   // with windows its rows are the pixels of the maps that come out
  Windows windows;                     // only where the table says `windows`
};

/// Pairs of rows, and the sums of them that Strassen's products read (kernels/micro/strassen.hpp); f32 or i16.
struct StrassenSums {
  Operand a;  // [2 pairs, 2 half]
  index_t pairs = 0;
  index_t half = 0;
  void* sums = nullptr;    // [4][pairs, half], of a's type
  index_t sum_stride = 0;  // elements from one to the next
  std::uint32_t* self_products =
      nullptr;  // i16: [7][pairs] of A11, A12, A22, S1, S2, S3, S4 (kernels/micro/word_product.hpp)
  index_t self_stride = 0;
};

/// out = epilogue(A W^T) for some pairs of rows of A and a pair of panels of W.
struct StrassenBlock {
  Operand a;                                     // [2 pairs, 2 half]
  const void* sums = nullptr;                    // [4][pairs, half]
  index_t sum_stride = 0;                        // elements from one to the next
  const std::uint32_t* self_products = nullptr;  // i16: [7][pairs], as StrassenSums has them
  index_t self_stride = 0;
  index_t pairs = 0;
  index_t half = 0;
  const void* panels = nullptr;         // [2][2 half, NR] of W
  const float* column_scale = nullptr;  // i16: [columns]
  const float* column_sum = nullptr;    // i16: [columns]
  index_t columns = 0;                  // wanted of 2 NR
  bool stored_bf16 = false;             // f32: the panels are bf16 and no sums of each other
  const void* panels_after = nullptr;   // the panels that are wanted next, most often; null: not known
  Epilogue epilogue;
  void* scratch =
      nullptr;  // stored_bf16: [2][2 half, NR] of f32; then [half, NR] of a's type, 4 * pairs * NR of 32 bits
};

/// A pair of panels, which becomes what Strassen's products read.
struct StrassenPanels {
  void* panels = nullptr;  // [2][head, then [2 half, NR]]
  index_t half = 0;
  DataType type = DataType::f32;
};

/// softmax(scale Q K^T) V of one head of one sequence; q, k and v are f32 or bf16, all three the same.
struct AttentionHead {
  Operand q;                          // [queries, head_width]
  Operand k;                          // [keys, head_width], or rows among which key_rows picks
  Operand v;                          // the same rows
  const index_t* key_rows = nullptr;  // [keys], or null: rows 0, 1, ...
  OperandRows out;                    // [queries, head_width], f32 or bf16
  index_t queries = 0;
  index_t keys = 0;
  index_t head_width = 0;
  bool causal = false;       // query i sees keys 0 .. keys - queries + i, else all
  float scale = 1.0f;        // head_width^-0.5
  float* scratch = nullptr;  // attention_scratch(keys, head_width) floats

  /// How many keys a query sees.
  [[nodiscard]] CLIPON_ALWAYS_INLINE index_t seen(index_t query) const {
    return causal ? keys - queries + query + 1 : keys;
  }
  [[nodiscard]] CLIPON_ALWAYS_INLINE index_t key_row(index_t key) const {
    return key_rows == nullptr ? key : key_rows[key];
  }
};

/// LayerNorm of rows: (x - mean) / sqrt(variance + epsilon) * gain + bias.
struct LayerNormRows {
  const float* x = nullptr;  // [rows, width], row stride x_stride
  index_t x_stride = 0;
  index_t rows = 0;
  index_t width = 0;
  const float* gain = nullptr;  // [width]
  const float* bias = nullptr;  // [width]
  float epsilon = 1e-5f;
  OperandRows out;  // [rows, width]; f32 rows may be x itself
};

/// The points of Winograd's transforms for 4 outputs are 0, these, their negatives, and infinity.  Where each position
/// is rounded by a share of its own size, as bf16 and bytes are, an output's error grows by 23 in variance, with Lavin
/// and Gray's 1 and 2 by 116 (tests/kernels/test_winograd.cpp).  The least, 22.5, is at 0.65 and 1.53; these two and
/// what is made of them are exact in f32.
constexpr float kWinogradNear = 0.625f;
constexpr float kWinogradFar = 1.5f;

/// Tiles of maps for Winograd's convolution (kernels/micro/winograd.hpp): m x m outputs each, counted along the rows of
/// each map and from map to map.
struct WinogradTiles {
  DataType type = DataType::f32;  // of the maps: f32 or bf16
  index_t m = 4;                  // 2 or 4
  index_t height = 0;             // of a map
  index_t width = 0;
  index_t channels = 0;
  index_t first = 0;  // tile
  index_t count = 0;  // tiles
};

/// The transformed tiles that Winograd's products read: (m + 2)^2 matrices [count, channels].
struct WinogradRows {
  OperandRows rows;             // of the maps' type or integers: the first matrix; their scales [(m + 2)^2, count]
  index_t position_stride = 0;  // elements from one matrix to the next
  float* scratch = nullptr;     // integers: [(m + 2)^2, channels]
  void* border = nullptr;       // [channels] of the maps' type: room for the zeros around a map
};

/// A panel of W in the type that is computed in.
struct PanelRows {
  void* panel = nullptr;          // [panel_head][NR], then [steps][NR] of 32 bits, or of 64 (product_by_two_rows.hpp)
  float* column_scale = nullptr;  // integers: [NR]
  float* column_sum = nullptr;    // integers: [NR]
  DataType type = DataType::f32;
  bool stored_bf16 = false;  // f32: as bf16
};

constexpr int kResizeBits = 22;     // fraction bits of a resize coefficient: Pillow's PRECISION_BITS, 32 - 8 - 2
constexpr int kResizeLowBits = 12;  // of them in its lower half
constexpr std::uint32_t kResizeHalf = 1u << (kResizeBits - 1);  // what sums begin with, to be rounded by a shift

/// Four rows of pixels that become two pairs of shorter or longer rows.  Words 2i and 2i + 1 of a pair are the bytes i
/// of its rows: a multiply-add of ResizeColumns takes a tap of each.
struct ResizeRows {
  const std::uint8_t* rows[4] = {};     // [*, channels]
  index_t channels = 3;                 // 3 or 4
  index_t outputs = 0;                  // pixels of each output row
  index_t taps = 0;                     // stride of the coefficients, a multiple of 4
  const std::int32_t* first = nullptr;  // [outputs] pixel under the first tap
  const std::int32_t* used = nullptr;   // [outputs] taps that are not padding
  const std::int16_t* high = nullptr;   // [outputs, taps]
  const std::int16_t* low = nullptr;    // [outputs, taps]
  std::uint16_t* out = nullptr;         // [2, outputs, channels, 2], pair stride out_stride; kPairTail words behind
  index_t out_stride = 0;               // each pair may be written as well

  static constexpr index_t kPairTail = 2;  // pixels of three channels are stored as if of four
};

/// Pairs of rows that become one row.
struct ResizeColumns {
  const std::uint16_t* const* pairs = nullptr;  // [count] pairs of rows of n bytes, as ResizeRows leaves them
  index_t n = 0;
  index_t count = 0;
  const std::int16_t* high = nullptr;  // [count, 2]
  const std::int16_t* low = nullptr;   // [count, 2]
  std::uint8_t* out = nullptr;         // [n]
};

/// A row's greatest value, and the sum of exp(scale (x - greatest)) over it.
struct RowExp {
  float greatest = 0.0f;
  float sum = 0.0f;
};

/// Rows of at most so many columns are looked at together, a lane a row.
constexpr index_t kMostOfFew = 32;

/// x [rows, columns], 1 <= columns <= kMostOfFew; memory is read, not used, up to 3 floats past each row's end.
struct RowsOfFew {
  const float* x = nullptr;
  index_t stride = 0;
  index_t rows = 0;
  index_t columns = 0;
};

/// The best two columns of each of some rows.
struct BestTwo {
  float* best = nullptr;               // [rows]
  float* next = nullptr;               // [rows]
  std::int32_t* best_index = nullptr;  // [rows]
  std::int32_t* next_index = nullptr;  // [rows]
};

/// out [rows, columns] = X W^T for a few columns: X [rows, depth], W [columns, depth].
struct RowDots {
  const float* x = nullptr;
  index_t x_stride = 0;
  index_t rows = 0;
  const float* w = nullptr;
  index_t w_stride = 0;
  index_t columns = 0;
  index_t depth = 0;
  float* out = nullptr;
};

/// A matrix as a file stores it, row-major; int8 has one scale a row.
struct StoredMatrix {
  const void* data = nullptr;
  const float* scale = nullptr;  // [rows] for int8, else null
  DataType type = DataType::f32;
  index_t rows = 0;
  index_t columns = 0;

  /// Some of its rows.
  [[nodiscard]] CLIPON_ALWAYS_INLINE StoredMatrix part(index_t first, index_t count) const {
    const auto row_bytes = columns * static_cast<index_t>(size_of(type));
    return {static_cast<const unsigned char*>(data) + first * row_bytes, scale == nullptr ? nullptr : scale + first,
            type, count, columns};
  }
};

/// Matrices of as many columns, one above the other; they are the caller's.
struct StoredStack {
  const StoredMatrix* parts = nullptr;  // [count], at least one
  index_t count = 0;

  [[nodiscard]] CLIPON_ALWAYS_INLINE index_t columns() const { return parts[0].columns; }
};

/// One of the rows that a search has found so far.
struct Candidate {
  float dot = 0.0f;
  index_t row = 0;
};

/// The order of a search's answers: the greater product first, of equal ones the lower row.
CLIPON_ALWAYS_INLINE constexpr bool precedes(const Candidate& a, const Candidate& b) {
  return a.dot != b.dot ? a.dot > b.dot : a.row < b.row;
}

/// Some rows of a matrix against one query.  The k best lie in a heap whose first is the worst of them, so that a row
/// is mostly dismissed by one comparison.
struct TopkRows {
  StoredMatrix vectors;
  const float* query = nullptr;  // [columns]
  index_t first = 0;             // row to begin with
  index_t rows = 0;
  index_t k = 0;
  Candidate* heap = nullptr;  // [k]
};

}  // namespace clipon::inline CLIPON_ABI::kernels

// The matrix multiplication's inner loops: a register tile, and the loop over tiles of one block, for each type of
// product.hpp.  Called by gemm_by_type.hpp, attention_tile.hpp and strassen.hpp.  Per ISA.
//
// A tile is MR rows of A against NR columns of W, with MR x NR / width sums in registers; each step of k broadcasts MR
// values of A and loads NR of the packed panel.  Every output is one chain of additions over k = 0, 1, ..., depth - 1,
// whatever the tile's size: a row's result does not depend on what else is in the batch.
#pragma once

#include <type_traits>

#include "clipon/kernels/micro/finish_in_registers.hpp"
#include "clipon/kernels/micro/finish_tile.hpp"
#include "clipon/kernels/micro/gemm_tile_size.hpp"
#include "clipon/kernels/micro/product_by_lanes.hpp"
#include "clipon/kernels/micro/product_by_two_rows.hpp"
#include "clipon/kernels/micro/word_product.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// One tile: `a` is its first row, `panel` [steps][NR] of a step's bytes.
struct TileInput {
  Operand a;
  const void* panel = nullptr;
  index_t steps = 0;    // steps_of(depth)
  index_t columns = 0;  // wanted of NR
  const float* column_scale = nullptr;
  const float* column_sum = nullptr;
  const float* row_factor = nullptr;      // attention: what each row's sums are multiplied by
  const void* next = nullptr;             // memory that the next panel's tiles will want
  index_t next_step = 0;                  // bytes of it to ask for a step
  const void* minus = nullptr;            // of a difference: the panel [steps][NR] that is taken from the other
  void* difference = nullptr;             // and where it goes, [steps][NR]
  const std::uint32_t* self_a = nullptr;  // i16: of each row, self_a_stride from one to the next
  index_t self_a_stride = 0;
  const std::uint32_t* self_w = nullptr;  // i16: of each column
};

// Steps that a product takes of a depth.
template <class Product>
constexpr index_t steps_of(index_t depth) {
  constexpr index_t elements = Product::step / static_cast<index_t>(size_of(Product::type));
  return padded_depth(Product::type, depth) / elements;
}

// Rows of sums that a tile has: products in pairs compute a last row alone twice.
template <class Product, int MR>
constexpr int sum_rows = Product::by_two_rows ? (MR + 1) / 2 * 2 : MR;

// A step of each row from `a` on, times a step of the panel.
template <class Product, int MR, int R, int NV, int W>
CLIPON_ALWAYS_INLINE void add_step(typename Product::Sum (&sum)[R][NV], const typename Product::Register (&w)[W],
                                   const unsigned char* a, index_t a_stride) {
  if constexpr (Product::by_two_rows) {
#pragma GCC unroll 8
    for (int r = 0; r < MR; r += 2) {
      const auto x = Product::load_rows(a + r * a_stride, a + (r + 1 < MR ? r + 1 : r) * a_stride);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        sum[r][v] = Product::add(x, w[2 * v], sum[r][v]);
        sum[r + 1][v] = Product::add(x, w[2 * v + 1], sum[r + 1][v]);
      }
    }
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
      const auto x = Product::broadcast(a + r * a_stride);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[r][v] = Product::add(x, w[v], sum[r][v]);
    }
  }
}

// Sums stored as they are, or added to the residual; those of i16 are integers in the place of floats.
template <class Arch, class Product, int MR, int R, int NV>
CLIPON_ALWAYS_INLINE void store_sums(const typename Product::Sum (&sum)[R][NV], const Epilogue& to) {
  constexpr index_t width = simd::F32<Arch>::width;
  const auto store = [&](auto adds) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        typename Product::Sum x = sum[r][v];
        if constexpr (adds) x = x + Product::load_sum(to.residual + r * to.residual_stride + v * width);
        Product::store(to.out + r * to.out_stride + v * width, x);
      }
    }
  };
  if (to.residual == nullptr) {
    store(std::false_type{});
  } else {
    store(std::true_type{});
  }
}

// A tile's sums become outputs.
template <class Arch, class Product, int MR, int R, int NV>
CLIPON_ALWAYS_INLINE void finish_sums(const TileInput& in, typename Product::Sum (&sum)[R][NV],
                                      const Epilogue& epilogue) {
  constexpr index_t width = simd::F32<Arch>::width;
  if constexpr (Product::by_two_rows) {
#pragma GCC unroll 8
    for (int r = 0; r < MR; r += 2) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) Product::apart(sum[r][v], sum[r + 1][v]);
    }
  }
  const bool whole = in.columns == NV * width && in.row_factor == nullptr;
  if constexpr (Product::type == DataType::i16) {
    if (in.column_scale == nullptr) return store_sums<Arch, Product, MR>(sum, epilogue);
  } else if constexpr (Product::type != DataType::i8) {
    if (whole && is_sum(epilogue)) return store_sums<Arch, Product, MR>(sum, epilogue);
  }
  const IntegerScales scales{in.a.scales, in.column_scale, in.column_sum};
  if constexpr (stays_in_registers<Arch, Product, MR, NV>) {
    if (whole && epilogue.activation == Activation::none)
      return finish_in_registers<Arch, Product, Activation::none, MR, NV>(sum, scales, epilogue);
    if (whole && epilogue.activation == Activation::relu)
      return finish_in_registers<Arch, Product, Activation::relu, MR, NV>(sum, scales, epilogue);
  }
  alignas(64) unsigned char memory[MR * NV * width * 4];
  using Stored = std::conditional_t<is_integer(Product::type), std::int32_t, float>;
  auto* sums = reinterpret_cast<Stored*>(memory);  // [MR, NV * width]
#pragma GCC unroll 8
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) Product::store(sums + (r * NV + v) * width, sum[r][v]);
  }
  if constexpr (is_integer(Product::type)) {
    finish_tile<Arch>(ScaledSums<Arch>{sums, NV * width, scales}, MR, in.columns, epilogue);
  } else if (in.row_factor != nullptr) {
    finish_rows<Arch, Activation::none>(FactoredSums<Arch>{sums, NV * width, in.row_factor}, MR, in.columns, epilogue);
  } else {
    finish_tile<Arch>(FloatSums<Arch>{sums, NV * width}, MR, in.columns, epilogue);
  }
}

// is_difference: of a panel and what is taken from it, which is kept.
template <class Arch, class Product, int MR, int NV, bool is_difference = false>
inline void gemm_tile(const TileInput& in, const Epilogue& epilogue) {
  constexpr index_t width = simd::F32<Arch>::width;
  constexpr index_t w_value = Product::panel_value;
  constexpr index_t w_register = width * w_value / Product::registers;  // bytes
  const auto* CLIPON_RESTRICT a = static_cast<const unsigned char*>(in.a.data);
  const auto* CLIPON_RESTRICT b = static_cast<const unsigned char*>(in.panel);
  const auto* CLIPON_RESTRICT minus = static_cast<const unsigned char*>(in.minus);
  auto* CLIPON_RESTRICT difference = static_cast<unsigned char*>(in.difference);
  constexpr index_t step = Product::steps_together;
  const index_t a_stride = in.a.stride * static_cast<index_t>(size_of(Product::type));  // bytes
  const index_t steps = in.steps;
  typename Product::Sum sum[sum_rows<Product, MR>][NV];
#pragma GCC unroll 8
  for (int r = 0; r < sum_rows<Product, MR>; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      if constexpr (Product::type == DataType::i16) {
        sum[r][v] = Product::start(in.self_a[r * in.self_a_stride], in.self_w + v * width);
      } else if constexpr (Product::type == DataType::i8 && Arch::has_sdot) {
        sum[r][v] = Product::start(in.column_sum + v * width);
      } else {
        sum[r][v] = Product::zero();
      }
    }
  }
  const auto* next = static_cast<const unsigned char*>(in.next == nullptr ? in.panel : in.next);
  prefetch_residual<Arch, MR, NV>(epilogue);
  const auto multiply = [&](auto is_few) __attribute__((always_inline)) {
    for (index_t k = 0; k < steps; k += step, next += in.next_step) {
      __builtin_prefetch(next, 0, 2);  // into L2
      if constexpr (is_few) {
        for (index_t line = 64; line < in.next_step; line += 64) __builtin_prefetch(next + line, 0, 2);
      }
      typename Product::Register w[NV * Product::registers];
#pragma GCC unroll 8
      for (int i = 0; i < NV * Product::registers; ++i) w[i] = Product::load(b + i * w_register);
      if constexpr (is_difference) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          w[v] = Product::subtract(w[v], Product::load(minus + v * w_register));
          Product::store_panel(difference + v * w_register, w[v]);
        }
        minus += gemm_columns<Arch> * w_value * step;
        difference += gemm_columns<Arch> * w_value * step;
      }
      add_step<Product, MR>(sum, w, a + k * Product::step, a_stride);
      b += gemm_columns<Arch> * w_value * step;
    }
  };
  if (in.next_step > 64) {  // few rows: a step must ask for more than a line
    multiply(std::true_type{});
  } else {
    multiply(std::false_type{});
  }
  finish_sums<Arch, Product, MR>(in, sum, epilogue);
}

// The tile with as many vectors as the panel's columns need; a difference has all.
template <class Arch, class Product, int MR, bool is_difference>
inline void gemm_narrow(const TileInput& in, const Epilogue& epilogue) {
  constexpr int most = GemmTile<Arch>::vectors;
  const index_t vectors = (in.columns + simd::F32<Arch>::width - 1) / simd::F32<Arch>::width;
  if (is_difference || vectors == most) return gemm_tile<Arch, Product, MR, most, is_difference>(in, epilogue);
  if constexpr (!is_difference) {
    if constexpr (most >= 4) {
      if (vectors == 3) return gemm_tile<Arch, Product, MR, 3>(in, epilogue);
    }
    if constexpr (most >= 3) {
      if (vectors == 2) return gemm_tile<Arch, Product, MR, 2>(in, epilogue);
    }
    return gemm_tile<Arch, Product, MR, 1>(in, epilogue);
  }
}

// The tile of any height up to MR.
template <class Arch, class Product, bool is_difference = false>
inline void gemm_any(index_t rows, const TileInput& in, const Epilogue& epilogue) {
  constexpr int most = GemmTile<Arch>::rows_of(Product::type);
  if constexpr (most >= 8) {
    if (rows == 8) return gemm_narrow<Arch, Product, 8, is_difference>(in, epilogue);
    if (rows == 7) return gemm_narrow<Arch, Product, 7, is_difference>(in, epilogue);
  }
  if constexpr (most >= 6) {
    if (rows == 6) return gemm_narrow<Arch, Product, 6, is_difference>(in, epilogue);
    if (rows == 5) return gemm_narrow<Arch, Product, 5, is_difference>(in, epilogue);
  }
  if (rows == 4) return gemm_narrow<Arch, Product, 4, is_difference>(in, epilogue);
  if (rows == 3) return gemm_narrow<Arch, Product, 3, is_difference>(in, epilogue);
  if (rows == 2) return gemm_narrow<Arch, Product, 2, is_difference>(in, epilogue);
  return gemm_narrow<Arch, Product, 1, is_difference>(in, epilogue);
}

// Rows cut into tiles of nearly equal height (50 rows: 7 tiles of 7 or 8), because a low last tile would be bound by
// its loads of W.  A group: rows that one instruction takes; the last one may lack some.
template <class Arch>
struct TileRows {
  TileRows(index_t rows, index_t most, index_t group = 1)
      : together(group),
        groups((rows + together - 1) / together),
        count((groups * together + most - 1) / most),
        height(count == 0 ? 0 : groups / count),
        higher(groups - count * height),
        missing(groups * together - rows) {}
  [[nodiscard]] index_t rows(index_t tile) const {
    const index_t whole = (tile < higher ? height + 1 : height) * together;
    return tile + 1 < count ? whole : whole - missing;
  }

  index_t together;
  index_t groups;
  index_t count;
  index_t height;   // groups of a tile
  index_t higher;   // so many tiles have a group more
  index_t missing;  // rows of the last group
};

// The block of one thread: each panel of W stays in the cache while all rows pass.  The first tiles of a panel ask for
// the next one, which comes from memory.
template <class Arch, class Product>
inline void gemm_block(const GemmBlock& block) {
  if (block.rows == 0) return;  // no tile would ask for its part of the next panel
  constexpr index_t nr = gemm_columns<Arch>;
  const TileRows<Arch> tiles(block.rows, gemm_rows<Arch>(Product::type), Product::by_two_rows ? 2 : 1);
  TileInput in;
  in.steps = steps_of<Product>(block.depth);
  in.self_a_stride = sizeof(RowScale) / sizeof(RowScale::self_product);
  constexpr index_t head = panel_head(Product::type) * nr * 4;  // bytes
  const index_t panel_bytes = nr * in.steps * Product::panel_value + head;
  const index_t turns = in.steps / Product::steps_together;
  for (index_t column = 0; column < block.columns; column += nr) {
    const index_t left = block.columns - column;
    in.columns = left < nr ? left : nr;
    const auto* panel = static_cast<const unsigned char*>(block.panels) + column / nr * panel_bytes;
    in.panel = panel + head;
    in.self_w = reinterpret_cast<const std::uint32_t*>(panel);
    const auto* next_panel = static_cast<const unsigned char*>(left > nr ? panel + panel_bytes : block.panels_after);
    in.next_step = next_panel == nullptr ? 0 : (panel_bytes + tiles.count * turns - 1) / (tiles.count * turns);
    if (block.column_scale != nullptr) in.column_scale = block.column_scale + column;
    if (block.column_sum != nullptr) in.column_sum = block.column_sum + column;
    for (index_t tile = 0, row = 0; tile < tiles.count; ++tile) {
      const index_t rows = tiles.rows(tile);
      const index_t bytes = row * block.a.stride * static_cast<index_t>(size_of(Product::type));
      in.a = block.a;
      in.a.data = static_cast<const unsigned char*>(block.a.data) + bytes;
      if (in.a.scales != nullptr) in.a.scales += row;
      if constexpr (Product::type == DataType::i16) in.self_a = &in.a.scales->self_product;
      in.next = next_panel == nullptr ? nullptr : next_panel + tile * turns * in.next_step;
      gemm_any<Arch, Product>(rows, in, block.epilogue.from(row, column));
      row += rows;
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

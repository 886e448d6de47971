// Seven products of halves instead of eight: Strassen's scheme in Winograd's form, one level, in f32 and, exactly, in
// i16.  Called by kernels/strassen.hpp and PackedMatrix through the table.  Per ISA.  Strassen 1969, Gaussian
// Elimination is not Optimal; Huang et al. 2016, Strassen's Algorithm Reloaded, for products whose sums of blocks are
// made on the way.
//
// Rows of A go in pairs, the first of each in A1x and the other in A2x, panels of W in pairs, too, the columns of Bx1
// and Bx2; A's columns and B's rows are cut in the middle of k.  Then, with T2 in B12's place (PackedMatrix),
//   S1 = A21 + A22   T1 = B12 - B11 = B22 - T2   U1 = A11 B11 + A12 B21   C11 = U1
//   S2 = S1 - A11    T2 = B22 - B12 + B11        U2 = A11 B11 + S2 T2     C12 = U4 + S4 B22
//   S3 = A11 - A21   T3 = B22 - B12 = T2 - B11   U4 = U2 + S1 T1          C21 = U2 + S3 T3 + A22 T4
//   S4 = A12 - S2    T4 = B21 - T2                                        C22 = U4 + S3 T3
#pragma once

#include "clipon/kernels/micro/gemm.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// What belongs to each of the seven matrices of rows and of panels alone, where i16's products want it.
enum StrassenRows { row_a11, row_a12, row_a22, row_s1, row_s2, row_s3, row_s4 };
enum StrassenColumns { column_b11, column_b21, column_t2, column_b22, column_t1, column_t3, column_t4 };

// The parts of a pair of panels, in 32 bits.  Bits: std::uint32_t, const or not.
template <class Arch, class Product, class Bits>
struct PanelPair {
  static constexpr index_t nr = gemm_columns<Arch>;
  static constexpr index_t head = panel_head(Product::type) * nr;

  PanelPair(Bits* panels, index_t quarter)
      : head_1(panels),
        b11(head_1 + head),
        b21(b11 + quarter),
        head_2(b21 + quarter),
        t2(head_2 + head),
        b22(t2 + quarter) {}

  /// i16: [NR], of the four halves in the first head, of the differences in the second.
  [[nodiscard]] Bits* self_products(StrassenColumns columns) const {
    return columns < column_t1 ? head_1 + columns * nr : head_2 + (columns - column_t1) * nr;
  }

  Bits* head_1;
  Bits* b11;
  Bits* b21;
  Bits* head_2;
  Bits* t2;  // B12 until it is T2
  Bits* b22;
};

/// S1, S2, S3, S4 of some pairs of rows.
template <class Arch>
inline void strassen_float_sums(const StrassenSums& job) {
  for (index_t pair = 0; pair < job.pairs; ++pair) {
    const auto* a1 = static_cast<const float*>(job.a.data) + 2 * pair * job.a.stride;
    const float* a2 = a1 + job.a.stride;
    float* s1 = static_cast<float*>(job.sums) + pair * job.half;
    float* s2 = s1 + job.sum_stride;
    float* s3 = s2 + job.sum_stride;
    float* s4 = s3 + job.sum_stride;
    for_each_register<Arch>(job.half, [&](index_t k, const auto& lanes) {
      const auto a11 = lanes.load(a1 + k);
      const auto a21 = lanes.load(a2 + k);
      const auto sum = a21 + lanes.load(a2 + job.half + k);
      const auto rest = sum - a11;
      lanes.store(s1 + k, sum);
      lanes.store(s2 + k, rest);
      lanes.store(s3 + k, a11 - a21);
      lanes.store(s4 + k, lanes.load(a1 + job.half + k) - rest);
    });
  }
}

// The same of words, and the products of each of A11, A12, A22 and these with itself.
template <class Arch>
inline void strassen_word_sums(const StrassenSums& job) {
  using V = simd::I16<Arch>;
  constexpr index_t width = 2 * simd::F32<Arch>::width;
  const index_t half = job.half;
  for (index_t pair = 0; pair < job.pairs; ++pair) {
    const auto* a11 = static_cast<const std::int16_t*>(job.a.data) + 2 * pair * job.a.stride;
    const std::int16_t* a21 = a11 + job.a.stride;
    std::int16_t* s1 = static_cast<std::int16_t*>(job.sums) + pair * half;
    std::int16_t* s2 = s1 + job.sum_stride;
    std::int16_t* s3 = s2 + job.sum_stride;
    std::int16_t* s4 = s3 + job.sum_stride;
    for (index_t i = 0; i < half; i += width) {  // the last register overlaps the one before
      const index_t k = i + width <= half ? i : half - width;
      const auto of_a11 = V::load(a11 + k);
      const auto of_a21 = V::load(a21 + k);
      const auto sum = V::add(of_a21, V::load(a21 + half + k));
      const auto rest = V::subtract(sum, of_a11);
      V::store(s1 + k, sum);
      V::store(s2 + k, rest);
      V::store(s3 + k, V::subtract(of_a11, of_a21));
      V::store(s4 + k, V::subtract(V::load(a11 + half + k), rest));
    }
    const std::int16_t* const matrices[] = {a11, a11 + half, a21 + half, s1, s2, s3, s4};
    for (index_t m = 0; m < 7; ++m)
      job.self_products[m * job.self_stride + pair] = row_self_product<Arch>(matrices[m], half);
  }
}

template <class Arch>
inline void strassen_sums(const StrassenSums& job) {
  if (job.a.type == DataType::f32) return strassen_float_sums<Arch>(job);
  strassen_word_sums<Arch>(job);
}

template <class Arch, class Product>
inline void strassen_panels_of(const StrassenPanels& job) {
  constexpr index_t nr = gemm_columns<Arch>;
  const index_t steps = job.half / k_step(Product::type);
  const PanelPair<Arch, Product, std::uint32_t> w(static_cast<std::uint32_t*>(job.panels), steps * nr);
  for (index_t k = 0; k < steps; k += Product::steps_together) {
    for (index_t at = k * nr; at < (k + 1) * nr; at += simd::F32<Arch>::width) {
      const auto t1 = Product::subtract(Product::load(w.t2 + at), Product::load(w.b11 + at));
      Product::store_panel(w.t2 + at, Product::subtract(Product::load(w.b22 + at), t1));
    }
  }
  if constexpr (Product::type == DataType::i16) {
    panel_self_products<Arch>(w.b11, steps, w.self_products(column_b11));
    panel_self_products<Arch>(w.b21, steps, w.self_products(column_b21));
    panel_self_products<Arch>(w.t2, steps, w.self_products(column_t2));
    panel_self_products<Arch>(w.b22, steps, w.self_products(column_b22));
    panel_self_products<Arch>(w.b22, steps, w.self_products(column_t1), w.t2);
    panel_self_products<Arch>(w.t2, steps, w.self_products(column_t3), w.b11);
    panel_self_products<Arch>(w.b21, steps, w.self_products(column_t4), w.t2);
  }
}

/// A pair of panels, whose halves of k are B11, B21 and B12, B22: B12 becomes T2 = B22 - (B12 - B11), which leaves
/// differences of two for the other products.
template <class Arch>
inline void strassen_panels(const StrassenPanels& job) {
  if (job.type == DataType::f32) return strassen_panels_of<Arch, ProductF32<Arch>>(job);
  if constexpr (!Arch::has_byte_dot) strassen_panels_of<Arch, ProductI16<Arch>>(job);
}

/// Half a panel of W [half, NR], or one minus another; self_products: i16's [NR].
struct HalfPanel {
  const void* w;
  const std::uint32_t* self_products;
  const void* minus = nullptr;
};

/// The products of some pairs of rows with the halves of a pair of panels.  Quarters of C are [pairs, stride] of 32
/// bits, which floats stand for whatever they hold.
template <class Arch, class Product>
class StrassenProducts {
 public:
  static constexpr index_t nr = gemm_columns<Arch>;
  static constexpr index_t stride = 4 * nr;

  explicit StrassenProducts(const StrassenBlock& block)
      : tiles_(block.pairs, gemm_rows<Arch>(Product::type)),
        steps_(block.half / k_step(Product::type)),
        difference_(block.scratch),
        prefetched_(static_cast<const unsigned char*>(block.panels_after)) {
    const index_t all = 7 * tiles_.count * turns();
    const index_t wanted = 4 * steps_ * nr * (block.stored_bf16 ? 2 : 4);  // bytes
    prefetch_step_ = prefetched_ == nullptr ? 0 : (wanted + all - 1) / all;
  }

  /// out = plus + A W for each of the rows.  out and plus (or null): quarters of C.  self_products: i16's, of A's rows.
  void operator()(const Operand& a, const std::uint32_t* self_products, const HalfPanel& w, const float* plus,
                  float* out) {
    TileInput in;
    in.steps = steps_;
    in.columns = nr;
    in.panel = w.w;
    in.minus = w.minus;
    in.difference = difference_;
    in.next_step = prefetch_step_;
    in.self_a_stride = 1;
    in.self_w = w.self_products;
    Epilogue to;
    to.out_stride = to.residual_stride = stride;
    for (index_t tile = 0, row = 0; tile < tiles_.count; ++tile) {
      in.a = a.from_row(row);
      in.self_a = self_products + row;
      in.next = prefetched_;
      to.out = out + row * stride;
      to.residual = plus == nullptr ? nullptr : plus + row * stride;
      if (in.minus != nullptr) {  // the first tile makes the difference for the others
        gemm_any<Arch, Product, true>(tiles_.rows(tile), in, to);
        in.panel = difference_;
        in.minus = nullptr;
      } else {
        gemm_any<Arch, Product>(tiles_.rows(tile), in, to);
      }
      if (prefetched_ != nullptr) prefetched_ += prefetch_step_ * turns();
      row += tiles_.rows(tile);
    }
  }

 private:
  [[nodiscard]] index_t turns() const { return steps_ / Product::steps_together; }

  TileRows<Arch> tiles_;
  index_t steps_;
  void* difference_;                 // [half, NR]
  const unsigned char* prefetched_;  // how far the next pair of panels has been prefetched
  index_t prefetch_step_;            // bytes of it a turn of a tile's loop
};

/// Pairs of rows against a pair of panels.
template <class Arch, class Product>
inline void strassen_block_of(const StrassenBlock& block) {
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t stride = StrassenProducts<Arch, Product>::stride;
  const index_t quarter = block.half / k_step(Product::type) * nr;
  const Operand a11{block.a.data, 2 * block.a.stride, Product::type};
  const Operand a12 = a11.from(0, block.half);
  const Operand a22 = Operand{block.a.from_row(1).data, a11.stride, Product::type}.from(0, block.half);
  const auto s = [&](index_t i) {
    return Operand{block.sums, block.half, Product::type}.from(0, i * block.sum_stride);
  };
  const auto self = [&](StrassenRows rows) { return block.self_products + rows * block.self_stride; };
  const PanelPair<Arch, Product, const std::uint32_t> w(static_cast<const std::uint32_t*>(block.panels), quarter);
  auto* c11 = static_cast<float*>(block.scratch) + quarter;  // [pairs, stride], as the others: C is [2 pairs, 2 NR]
  float* c12 = c11 + nr;
  float* c21 = c12 + nr;
  float* c22 = c21 + nr;
  StrassenProducts<Arch, Product> multiply(block);
  multiply(a11, self(row_a11), {w.b11, w.self_products(column_b11)}, nullptr, c21);
  multiply(a12, self(row_a12), {w.b21, w.self_products(column_b21)}, c21, c11);       // U1
  multiply(s(1), self(row_s2), {w.t2, w.self_products(column_t2)}, c21, c21);         // U2
  multiply(s(0), self(row_s1), {w.b22, w.self_products(column_t1), w.t2}, c21, c12);  // U4
  multiply(a22, self(row_a22), {w.b21, w.self_products(column_t4), w.t2}, c21, c21);  // U2 + A22 T4
  multiply(s(2), self(row_s3), {w.t2, w.self_products(column_t3), w.b11}, nullptr, c22);
  for (index_t at = 0; at < block.pairs * stride; at += stride) {
    for (index_t j = at; j < at + nr; j += simd::F32<Arch>::width) {  // S3 T3
      const auto product = Product::load_sum(c22 + j);
      Product::store(c21 + j, Product::load_sum(c21 + j) + product);
      Product::store(c22 + j, Product::load_sum(c12 + j) + product);
    }
  }
  multiply(s(3), self(row_s4), {w.b22, w.self_products(column_b22)}, c12, c12);
  constexpr index_t most = 2 * GemmTile<Arch>::rows;  // rows of C whose registers of columns pass L1 together
  for (index_t r = 0; r < 2 * block.pairs; r += most) {
    const index_t rows = 2 * block.pairs - r < most ? 2 * block.pairs - r : most;
    const float* sums = c11 + r * 2 * nr;
    const Epilogue epilogue = block.epilogue.from(r, 0);
    if constexpr (Product::type == DataType::i16) {
      const IntegerScales scales{block.a.scales + r, block.column_scale, block.column_sum};
      const auto* integers = reinterpret_cast<const std::int32_t*>(sums);
      finish_tile<Arch>(ScaledSums<Arch>{integers, 2 * nr, scales}, rows, block.columns, epilogue);
    } else {
      finish_tile<Arch>(FloatSums<Arch>{sums, 2 * nr}, rows, block.columns, epilogue);
    }
  }
}

// Of panels of bf16: in floats, and as sums, for as long as these rows need them.
template <class Arch>
inline void strassen_block_of_bf16(const StrassenBlock& block) {
  using V = simd::F32<Arch>;
  const index_t n = 4 * block.half * gemm_columns<Arch>;
  const auto* halves = static_cast<const std::uint16_t*>(block.panels);
  auto* wide = static_cast<float*>(block.scratch);
  for (index_t i = 0; i < n; i += V::width) V::store(wide + i, V::from_bf16(halves + i));
  strassen_panels<Arch>({wide, block.half, DataType::f32});
  StrassenBlock widened = block;
  widened.panels = wide;
  widened.scratch = wide + n;
  strassen_block_of<Arch, ProductF32<Arch>>(widened);
}

template <class Arch>
inline void strassen_block(const StrassenBlock& block) {
  if (block.stored_bf16) return strassen_block_of_bf16<Arch>(block);
  if (block.a.type == DataType::f32) return strassen_block_of<Arch, ProductF32<Arch>>(block);
  if constexpr (!Arch::has_byte_dot) strassen_block_of<Arch, ProductI16<Arch>>(block);
}

}  // namespace clipon::inline CLIPON_ABI::kernels

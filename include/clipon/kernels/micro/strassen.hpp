// Seven products of halves instead of eight: Strassen's scheme in Winograd's form, one level, in f32.  Called by
// kernels/strassen.hpp through the table.  Per ISA.  Strassen 1969, Gaussian Elimination is not Optimal; Huang et al.
// 2016, Strassen's Algorithm Reloaded, for products whose sums of blocks are made on the way.
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

/// S1, S2, S3, S4 of some pairs of rows.
template <class Arch>
inline void strassen_sums(const StrassenSums& job) {
  for (index_t pair = 0; pair < job.pairs; ++pair) {
    const float* a1 = job.a + 2 * pair * job.a_stride;
    const float* a2 = a1 + job.a_stride;
    float* s1 = job.sums + pair * job.half;
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

/// Half a panel of W [half, NR], or one minus another.
struct HalfPanel {
  const float* w;
  const float* minus = nullptr;
};

/// The products of some pairs of rows with the halves of a pair of panels.
template <class Arch>
class StrassenProducts {
 public:
  static constexpr index_t nr = gemm_columns<Arch>;
  static constexpr index_t stride = 4 * nr;  // of a quarter of C

  explicit StrassenProducts(const StrassenBlock& block)
      : tiles_(block.pairs), steps_(block.half), difference_(block.scratch), asked_(block.panels_after) {
    const index_t all = 7 * tiles_.count * steps_;
    ask_step_ = asked_ == nullptr ? 0 : (4 * steps_ * nr + all - 1) / all;
  }

  /// out = plus + A W for each of the rows.  out and plus (or null): quarters of C.
  void operator()(const Operand& a, const HalfPanel& w, const float* plus, float* out) {
    TileInput in;
    in.steps = steps_;
    in.columns = nr;
    in.panel = w.w;
    in.minus = w.minus;
    in.difference = difference_;
    in.next_step = ask_step_ * 4;
    Epilogue to;
    to.out_stride = to.residual_stride = stride;
    for (index_t tile = 0, row = 0; tile < tiles_.count; ++tile) {
      in.a = a.from_row(row);
      in.next = asked_;
      to.out = out + row * stride;
      to.residual = plus == nullptr ? nullptr : plus + row * stride;
      if (in.minus != nullptr) {  // the first tile makes the difference for the others
        gemm_any<Arch, ProductF32<Arch>, true>(tiles_.rows(tile), in, to);
        in.panel = difference_;
        in.minus = nullptr;
      } else {
        gemm_any<Arch, ProductF32<Arch>>(tiles_.rows(tile), in, to);
      }
      if (asked_ != nullptr) asked_ += ask_step_ * steps_;
      row += tiles_.rows(tile);
    }
  }

 private:
  TileRows<Arch> tiles_;
  index_t steps_;
  float* difference_;   // [half, NR]
  const float* asked_;  // what the next pair of panels will be, asked for on the way
  index_t ask_step_;    // floats of it a step
};

/// Pairs of rows against a pair of panels.
template <class Arch>
inline void strassen_block(const StrassenBlock& block) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = gemm_columns<Arch>;
  constexpr index_t stride = StrassenProducts<Arch>::stride;
  const Operand a11{block.a, 2 * block.a_stride};
  const Operand a12 = a11.from(0, block.half);
  const Operand a22 = Operand{block.a + block.a_stride, a11.stride}.from(0, block.half);
  const Operand s1{block.sums, block.half};
  const Operand s2{block.sums + block.sum_stride, block.half};
  const Operand s3{block.sums + 2 * block.sum_stride, block.half};
  const Operand s4{block.sums + 3 * block.sum_stride, block.half};
  const float* b11 = block.panels;
  const float* b21 = b11 + block.half * nr;
  const float* t2 = b21 + block.half * nr;
  const float* b22 = t2 + block.half * nr;
  float* c11 = block.scratch + block.half * nr;  // [pairs, stride], as the others: C is [2 pairs, 2 NR]
  float* c12 = c11 + nr;
  float* c21 = c12 + nr;
  float* c22 = c21 + nr;
  StrassenProducts<Arch> multiply(block);
  multiply(a11, {b11}, nullptr, c21);
  multiply(a12, {b21}, c21, c11);      // U1
  multiply(s2, {t2}, c21, c21);        // U2
  multiply(s1, {b22, t2}, c21, c12);   // U4
  multiply(a22, {b21, t2}, c21, c21);  // U2 + A22 T4
  multiply(s3, {t2, b11}, nullptr, c22);
  for (index_t at = 0; at < block.pairs * stride; at += stride) {
    for (index_t j = at; j < at + nr; j += V::width) {
      const auto product = V::load(c22 + j);  // S3 T3
      V::store(c21 + j, V::load(c21 + j) + product);
      V::store(c22 + j, V::load(c12 + j) + product);
    }
  }
  multiply(s4, {b22}, c12, c12);
  constexpr index_t most = 2 * gemm_rows<Arch>;  // rows of C whose registers of columns pass L1 together
  for (index_t r = 0; r < 2 * block.pairs; r += most) {
    const index_t rows = 2 * block.pairs - r < most ? 2 * block.pairs - r : most;
    finish_tile<Arch>(FloatSums<Arch>{c11 + r * 2 * nr, 2 * nr}, rows, block.columns, block.epilogue.from(r, 0));
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// What every table's products must show: the definition's sums within rounding, and a row's bits whatever stands beside
// it.
#pragma once

#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <cstring>
#include <span>

#include "operands.hpp"

namespace support {

using namespace clipon::kernels;

// Rounding of a sum of `depth` products: each of depth steps errs by at most epsilon / 2 of a partial sum, which is at
// most the sum of magnitudes (the bytes' sums are exact and round once); activations have slope at most 1.13 (GELU) and
// an error of their own of a few epsilon.
inline double product_bound(const Operand& a, index_t a_row, const StoredMatrix& w, index_t w_row, double extra) {
  double magnitudes = extra;
  for (index_t k = 0; k < w.columns; ++k) {
    magnitudes += std::fabs(reference::element(a, a_row, k) * double{reference::element(w, w_row, k)});
  }
  return 1.2 * 0x1p-24 * (static_cast<double>(w.columns) + 16) * magnitudes + 4e-7;
}

/// Random shapes, epilogues and threads, each with another of `types`.
inline void check_products(const KernelTable& table, std::span<const DataType> types, int rounds) {
  Random random(7);
  for (int round = 0; round < rounds; ++round) {
    const DataType type = types[static_cast<std::size_t>(round) % types.size()];
    const index_t m = random.whole(1, 70);
    const index_t n = random.whole(1, 150);
    const index_t k = random.whole(1, 300);
    const index_t out_stride = n + random.whole(0, 5);
    const index_t residual_stride = n + random.whole(0, 5);
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(to_string(type));
    const RandomRows rows(table, random, type, m, k, round % 7 == 0);
    const RandomWeights weights(random, type, n, k);
    const auto bias = random.normals(n);
    const auto residual = random.normals(m * residual_stride);
    std::vector<std::uint16_t> residual_bf16;
    for (const float x : residual) residual_bf16.push_back(clipon::float_to_bf16(x));
    std::vector<float> found(static_cast<std::size_t>(m * out_stride), -1.0f);
    std::vector<float> expected = found;
    Epilogue epilogue;
    epilogue.out_stride = out_stride;
    epilogue.residual_stride = residual_stride;
    epilogue.bias = round % 8 < 4 ? bias.data() : nullptr;
    epilogue.residual = round % 4 < 2 ? residual.data() : nullptr;
    epilogue.residual_bf16 = round % 4 == 2 ? residual_bf16.data() : nullptr;
    epilogue.activation = static_cast<Activation>(round % 5);
    const Context context{&table, {static_cast<int>(random.whole(1, 3))}};
    const PackedMatrix packed(context, weights.stored, type);
    epilogue.out = expected.data();
    reference::gemm(rows.read(), m, weights.stored, epilogue);
    epilogue.out = found.data();
    gemm(context, rows.read(), m, packed, epilogue);
    for (index_t r = 0; r < m; ++r) {
      for (index_t c = 0; c < out_stride; ++c) {
        const auto i = static_cast<std::size_t>(r * out_stride + c);
        // what is beyond the columns stays as it was
        const double limit = c < n ? product_bound(rows.read(), r, weights.stored, c, 8.0) : 0.0;
        REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= limit);
      }
    }
    // the same outputs rounded to bf16: exactly the rounding of what was found where no activation is approximated
    std::vector<std::uint16_t> rounded(found.size(), 7);
    epilogue.out = nullptr;
    epilogue.out_bf16 = rounded.data();
    gemm(context, rows.read(), m, packed, epilogue);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const bool inside = static_cast<index_t>(i) % out_stride < n;
      if (inside && epilogue.activation != Activation::none && epilogue.activation != Activation::relu) {
        const double error = double{clipon::bf16_to_float(rounded[i])} - double{found[i]};
        REQUIRE(std::fabs(error) <= (0x1p-8 + 0x1p-12) * std::fabs(double{found[i]}) + 4e-7);
      } else {
        REQUIRE(rounded[i] == (inside ? clipon::float_to_bf16(found[i]) : 7));
      }
    }
  }
}

/// A row is the same bits alone, in a batch and at any thread count.
inline void check_rows_alone(const KernelTable& table, std::span<const DataType> types) {
  for (const DataType type : types) {
    Random random(8);
    const index_t m = 37;
    const index_t n = 209;  // a column more than half a panel of tiles
    const index_t k = 129;
    const RandomRows rows(table, random, type, m, k);
    const RandomWeights weights(random, type, n, k);
    const Context serial{&table, {1}};
    const PackedMatrix packed(serial, weights.stored, type);
    std::vector<float> all(static_cast<std::size_t>(m * n));
    const auto bias = random.normals(n);
    const auto residual = random.normals(m * n);
    Epilogue epilogue;
    epilogue.out_stride = n;
    epilogue.bias = bias.data();
    epilogue.residual_stride = n;
    for (const Activation activation : {Activation::none, Activation::quick_gelu, Activation::relu}) {
      epilogue.activation = activation;
      epilogue.residual = activation == Activation::relu ? residual.data() : nullptr;
      epilogue.out = all.data();
      gemm(serial, rows.read(), m, packed, epilogue);
      std::vector<float> threaded(all.size());
      epilogue.out = threaded.data();
      gemm(Context{&table, {3}}, rows.read(), m, packed, epilogue);
      CHECK(std::memcmp(all.data(), threaded.data(), all.size() * sizeof(float)) == 0);
      std::vector<float> one(static_cast<std::size_t>(n));
      for (index_t r = 0; r < m; ++r) {
        Epilogue of_row = epilogue.from(r, 0);
        of_row.out = one.data();
        gemm(serial, rows.read().from_row(r), 1, packed, of_row);
        REQUIRE(std::memcmp(one.data(), all.data() + r * n, one.size() * sizeof(float)) == 0);
      }
    }
  }
}

}  // namespace support

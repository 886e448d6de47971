#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <cstring>

#include "operands.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

// Rounding of a sum of `depth` products: each of depth steps errs by at most epsilon / 2 of a partial sum, which is at
// most the sum of magnitudes (the bytes' sums are exact and round once); activations have slope at most 1.13 (GELU) and
// an error of their own of a few epsilon.
double bound(const Operand& a, index_t a_row, const StoredMatrix& w, index_t w_row, double extra) {
  double magnitudes = extra;
  for (index_t k = 0; k < w.columns; ++k) {
    magnitudes += std::fabs(reference::element(a, a_row, k) * double{reference::element(w, w_row, k)});
  }
  return 1.2 * 0x1p-24 * (static_cast<double>(w.columns) + 16) * magnitudes + 4e-7;
}

}  // namespace

TEST_CASE("gemm agrees with the definition: random shapes, types, epilogues, threads, every ISA") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(7);
    for (int round = 0; round < 90; ++round) {
      const DataType type = support::kProductTypes[round % 3];
      const index_t m = random.whole(1, 70);
      const index_t n = random.whole(1, 150);
      const index_t k = random.whole(1, 300);
      const index_t out_stride = n + random.whole(0, 5);
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      CAPTURE(to_string(type));
      const support::RandomRows rows(table, random, type, m, k);
      const support::RandomWeights weights(random, type, n, k);
      const auto bias = random.normals(n);
      const auto residual = random.normals(m * out_stride);
      std::vector<std::uint16_t> residual_bf16;
      for (const float x : residual) residual_bf16.push_back(float_to_bf16(x));
      std::vector<float> found(static_cast<std::size_t>(m * out_stride), -1.0f);
      std::vector<float> expected = found;
      Epilogue epilogue;
      epilogue.out_stride = out_stride;
      epilogue.residual_stride = out_stride;
      epilogue.bias = round % 2 == 0 ? bias.data() : nullptr;
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
          const double limit = c < n ? bound(rows.read(), r, weights.stored, c, 8.0) : 0.0;
          REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= limit);
        }
      }
      // the same outputs rounded to bf16: exactly the rounding of what was found
      std::vector<std::uint16_t> rounded(found.size(), 7);
      epilogue.out = nullptr;
      epilogue.out_bf16 = rounded.data();
      gemm(context, rows.read(), m, packed, epilogue);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const bool inside = static_cast<index_t>(i) % out_stride < n;
        REQUIRE(rounded[i] == (inside ? float_to_bf16(found[i]) : 7));
      }
    }
  });
}

TEST_CASE("a row of a product is the same bits alone, in a batch and at any thread count") {
  support::for_each_isa([](const KernelTable& table) {
    for (const DataType type : support::kProductTypes) {
      support::Random random(8);
      const index_t m = 37;
      const index_t n = 211;
      const index_t k = 129;
      const support::RandomRows rows(table, random, type, m, k);
      const support::RandomWeights weights(random, type, n, k);
      const Context serial{&table, {1}};
      const PackedMatrix packed(serial, weights.stored, type);
      std::vector<float> all(static_cast<std::size_t>(m * n));
      Epilogue epilogue;
      epilogue.out_stride = n;
      epilogue.activation = Activation::quick_gelu;
      epilogue.out = all.data();
      gemm(serial, rows.read(), m, packed, epilogue);
      std::vector<float> threaded(all.size());
      epilogue.out = threaded.data();
      gemm(Context{&table, {3}}, rows.read(), m, packed, epilogue);
      CHECK(std::memcmp(all.data(), threaded.data(), all.size() * sizeof(float)) == 0);
      std::vector<float> one(static_cast<std::size_t>(n));
      for (index_t r = 0; r < m; ++r) {
        epilogue.out = one.data();
        gemm(serial, rows.read().from_row(r), 1, packed, epilogue);
        REQUIRE(std::memcmp(one.data(), all.data() + r * n, one.size() * sizeof(float)) == 0);
      }
    }
  });
}

TEST_CASE("int8 products are the same bits on every ISA") {
  support::Random random(13);
  const index_t m = 21;
  const index_t n = 101;
  const index_t k = 333;
  const auto usable = usable_isas();
  const KernelTable& lowest = *built_table(usable.front());
  const support::RandomRows rows(lowest, random, DataType::i8, m, k);
  const support::RandomWeights weights(random, DataType::i8, n, k);
  std::vector<float> expected;
  support::for_each_isa([&](const KernelTable& table) {
    const Context context{&table, {1}};
    std::vector<float> found(static_cast<std::size_t>(m * n));
    Epilogue epilogue;
    epilogue.out = found.data();
    epilogue.out_stride = n;
    gemm(context, rows.read(), m, PackedMatrix(context, weights.stored, DataType::i8), epilogue);
    if (expected.empty()) expected = found;
    CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
  });
}

TEST_CASE("weights of every stored type are widened and packed exactly") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(9);
    const index_t rows = 50;
    const index_t columns = 71;
    std::vector<std::uint16_t> halves(static_cast<std::size_t>(rows * columns));
    for (auto& h : halves) h = static_cast<std::uint16_t>(random.whole(0, 0x7bff));  // finite in f16 and in bf16
    std::vector<std::int8_t> bytes(halves.size());
    for (auto& b : bytes) b = static_cast<std::int8_t>(random.whole(-127, 127));
    const auto scale = random.normals(rows);
    const StoredMatrix stored[] = {{halves.data(), nullptr, DataType::f16, rows, columns},
                                   {halves.data(), nullptr, DataType::bf16, rows, columns},
                                   {bytes.data(), scale.data(), DataType::i8, rows, columns}};
    for (const StoredMatrix& w : stored) {
      std::vector<float> wide(static_cast<std::size_t>(columns));
      for (index_t r = 0; r < rows; ++r) {
        table.widen(w, r, 0, columns, wide.data());
        for (index_t c = 0; c < columns; ++c) {
          REQUIRE(wide[static_cast<std::size_t>(c)] == reference::element(w, r, c));
        }
      }
      const PackedMatrix packed(Context{&table, {1}}, w);
      const index_t nr = packed.panel_rows();
      for (index_t r = 0; r < rows; ++r) {
        const auto* panel = static_cast<const float*>(packed.block_from(r / nr * nr).panels);
        for (index_t c = 0; c < columns; ++c) REQUIRE(panel[c * nr + r % nr] == reference::element(w, r, c));
      }
    }
  });
}

TEST_CASE("float weights become bytes within half a step of their row's scale") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(10);
    const index_t rows = 30;
    const index_t columns = 90;
    auto values = random.normals(rows * columns);
    for (index_t c = 0; c < columns; ++c) values[static_cast<std::size_t>(7 * columns + c)] = 0.0f;  // a dead output
    const StoredMatrix w{values.data(), nullptr, DataType::f32, rows, columns};
    const PackedMatrix packed(Context{&table, {1}}, w, DataType::i8);
    const index_t nr = packed.panel_rows();
    for (index_t r = 0; r < rows; ++r) {
      const GemmBlock block = packed.block_from(r / nr * nr);
      const float scale = block.column_scale[r % nr];
      float greatest = 0.0f;
      std::int32_t sum = 0;
      for (index_t c = 0; c < columns; ++c) {
        const float x = reference::element(w, r, c);
        const int byte = static_cast<const std::int8_t*>(block.panels)[(c / 4 * nr + r % nr) * 4 + c % 4];
        REQUIRE(std::fabs(double{scale} * byte - double{x}) <= 0.50001 * double{scale});
        greatest = std::max(greatest, std::fabs(x));
        sum += byte;
      }
      CHECK(std::fabs(scale - greatest / 127.0f) <= 1e-6f * scale);
      CHECK(block.column_sum[r % nr] == sum);
    }
  });
}

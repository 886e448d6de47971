#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>

#include "support.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

// Rounding of a sum of `depth` products: each of depth steps errs by at most epsilon / 2 of a partial sum, which is at
// most the sum of magnitudes; activations have slope at most 1.13 (GELU) and an error of their own of a few epsilon.
double bound(const float* a, const StoredMatrix& w, index_t row, double extra) {
  double magnitudes = extra;
  for (index_t k = 0; k < w.columns; ++k) magnitudes += std::fabs(double{a[k]} * double{reference::element(w, row, k)});
  return 1.2 * 0x1p-24 * (static_cast<double>(w.columns) + 16) * magnitudes + 4e-7;
}

}  // namespace

TEST_CASE("gemm agrees with the definition: random shapes, epilogues, threads, every ISA") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(7);
    for (int round = 0; round < 60; ++round) {
      const index_t m = random.whole(1, 70);
      const index_t n = random.whole(1, 150);
      const index_t k = random.whole(1, 300);
      const index_t a_stride = k + random.whole(0, 5);
      const index_t out_stride = n + random.whole(0, 5);
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      const auto a = random.normals(m * a_stride);
      const auto values = random.normals(n * k);
      const auto bias = random.normals(n);
      const auto residual = random.normals(m * out_stride);
      const StoredMatrix w{values.data(), nullptr, DataType::f32, n, k};
      std::vector<float> found(static_cast<std::size_t>(m * out_stride), -1.0f);
      std::vector<float> expected = found;
      Epilogue epilogue;
      epilogue.out_stride = out_stride;
      epilogue.residual_stride = out_stride;
      epilogue.bias = round % 2 == 0 ? bias.data() : nullptr;
      epilogue.residual = round % 3 == 0 ? residual.data() : nullptr;
      epilogue.activation = static_cast<Activation>(round % 5);
      const Context context{&table, {static_cast<int>(random.whole(1, 3))}};
      epilogue.out = expected.data();
      reference::gemm(a.data(), a_stride, m, w, epilogue);
      epilogue.out = found.data();
      gemm(context, a.data(), a_stride, m, PackedMatrix(context, w), epilogue);
      for (index_t r = 0; r < m; ++r) {
        for (index_t c = 0; c < out_stride; ++c) {
          const auto i = static_cast<std::size_t>(r * out_stride + c);
          const double limit =
              c < n ? bound(a.data() + r * a_stride, w, c, 8.0) : 0.0;  // what is beyond stays as it was
          REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= limit);
        }
      }
    }
  });
}

TEST_CASE("a row of a product is the same bits alone, in a batch and at any thread count") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(8);
    const index_t m = 37;
    const index_t n = 211;
    const index_t k = 129;
    const auto a = random.normals(m * k);
    const auto values = random.normals(n * k);
    const StoredMatrix w{values.data(), nullptr, DataType::f32, n, k};
    const Context serial{&table, {1}};
    const PackedMatrix packed(serial, w);
    std::vector<float> all(static_cast<std::size_t>(m * n));
    Epilogue epilogue;
    epilogue.out_stride = n;
    epilogue.activation = Activation::quick_gelu;
    epilogue.out = all.data();
    gemm(serial, a.data(), k, m, packed, epilogue);
    std::vector<float> threaded(all.size());
    epilogue.out = threaded.data();
    gemm(Context{&table, {3}}, a.data(), k, m, packed, epilogue);
    CHECK(std::memcmp(all.data(), threaded.data(), all.size() * sizeof(float)) == 0);
    std::vector<float> one(static_cast<std::size_t>(n));
    for (index_t r = 0; r < m; ++r) {
      epilogue.out = one.data();
      gemm(serial, a.data() + r * k, k, 1, packed, epilogue);
      REQUIRE(std::memcmp(one.data(), all.data() + r * n, one.size() * sizeof(float)) == 0);
    }
  });
}

TEST_CASE("packing widens f16, bf16 and int8 weights exactly") {
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
        for (index_t c = 0; c < columns; ++c) {
          REQUIRE(packed.panels_from(r / nr * nr)[c * nr + r % nr] == reference::element(w, r, c));
        }
      }
    }
  });
}

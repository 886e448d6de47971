// Products of rows in pairs, seven of halves instead of eight.
#include <algorithm>
#include <clipon/kernels/gemm.hpp>
#include <cmath>
#include <cstring>

#include "operands.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

/// A product of pairs on some threads.
struct PairedProduct {
  Context context;
  PackedMatrix w;

  PairedProduct(const KernelTable& table, const StoredMatrix& stored, int threads = 1, DataType type = DataType::f32)
      : context{&table, {threads}}, w(context, stored, type, Rows::in_pairs) {
    REQUIRE(w.in_pairs());
  }

  void operator()(const Operand& a, index_t rows, const Epilogue& epilogue) const {
    constexpr int behind = 16;
    std::vector<float> memory(static_cast<std::size_t>(PairMemory::floats(context, w, rows, w.columns())), NAN);
    memory.resize(memory.size() + behind, 1.0f);
    Context own = context;
    own.pair_memory = memory.data();
    gemm(own, a, rows, w, epilogue);
    REQUIRE(std::all_of(memory.end() - behind, memory.end(), [](float x) { return x == 1.0f; }));
  }
};

// The rounding of an output of a pair of rows and any two columns, of depth 2 half: at most four of the products, whose
// sums of `half` steps and of up to eight numbers before and after them each err by epsilon / 2 of what is at most the
// magnitudes of the pair's four numbers times those of the columns' four.
double rounding_bound(const float* a1, const float* a2, const float* w1, const float* w2, index_t half) {
  double magnitudes = 0.0;
  for (index_t k = 0; k < half; ++k) {
    const auto sum = [&](const float* x, const float* y) {
      return std::fabs(double{x[k]}) + std::fabs(double{x[half + k]}) + std::fabs(double{y[k]}) +
             std::fabs(double{y[half + k]});
    };
    magnitudes += sum(a1, a2) * sum(w1, w2);
  }
  return 4.0 * 0x1p-24 * (static_cast<double>(half) + 8.0) * magnitudes;
}

double exact(const float* a, const float* w, index_t n) {
  double sum = 0.0;
  for (index_t k = 0; k < n; ++k) sum += double{a[k]} * double{w[k]};
  return sum;
}

}  // namespace

TEST_CASE("products of pairs agree with f64: random shapes, epilogues, threads, every ISA") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(19);
    const index_t nr = table.panel_columns(DataType::f32);
    for (int round = 0; round < 24; ++round) {
      const index_t m = 2 * random.whole(1, 40);
      const index_t n = random.whole(nr + 1, 7 * nr);  // an odd number of panels, and a last one that is not whole
      const index_t half = random.whole(128, 200);
      const index_t out_stride = n + random.whole(0, 5);
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(half);
      const auto a = random.normals(m * 2 * half);
      const bool stored_bf16 = table.bf16_runs_as == DataType::f32 && round % 5 < 2;
      const DataType type = stored_bf16 ? DataType::bf16 : DataType::f32;
      const auto w = support::rounded(type, random.normals(n * 2 * half));
      const auto bias = random.normals(n);
      const auto residual = random.normals(m * out_stride);
      std::vector<float> found(residual);  // as x += product does
      Epilogue epilogue;
      epilogue.out = found.data();
      epilogue.out_stride = out_stride;
      epilogue.residual_stride = out_stride;
      epilogue.bias = round % 2 == 0 ? bias.data() : nullptr;
      epilogue.residual = round % 4 < 2 ? found.data() : nullptr;
      epilogue.activation = round % 3 == 0 ? Activation::relu : Activation::none;
      const PairedProduct product(table, {w.data(), nullptr, DataType::f32, n, 2 * half},
                                  static_cast<int>(random.whole(1, 3)), type);
      CHECK(product.w.stored_bf16() == stored_bf16);
      product({a.data(), 2 * half}, m, epilogue);
      for (index_t r = 0; r < m; ++r) {
        for (index_t c = 0; c < out_stride; ++c) {
          const auto i = static_cast<std::size_t>(r * out_stride + c);
          if (c >= n) {  // what is beyond the columns stays as it was
            REQUIRE(found[i] == residual[i]);
            continue;
          }
          const float* row = a.data() + r * 2 * half;
          const float* column = w.data() + c * 2 * half;
          double expected = exact(row, column, 2 * half);
          if (epilogue.bias != nullptr) expected += double{bias[static_cast<std::size_t>(c)]};
          if (epilogue.residual != nullptr) expected += double{residual[i]};
          if (epilogue.activation == Activation::relu) expected = std::max(expected, 0.0);
          const index_t twin = c / nr % 2 == 0 ? std::min(c + nr, n - 1) : c - nr;  // the other panel's; or, where it
          const float* other = w.data() + twin * 2 * half;                          // has fewer columns, one of them
          const float* pair = a.data() + (r ^ 1) * 2 * half;
          REQUIRE(std::fabs(double{found[i]} - expected) <= rounding_bound(row, pair, column, other, half));
        }
      }
    }
  });
}

TEST_CASE("a pair of rows is the same bits alone, in a batch and at any thread count") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(23);
    const index_t m = 74;
    const index_t k = 256;
    const index_t n = 5 * table.panel_columns(DataType::f32) - 3;
    const auto a = random.normals(m * k);
    const auto w = random.normals(n * k);
    const auto bias = random.normals(n);
    const StoredMatrix stored{w.data(), nullptr, DataType::f32, n, k};
    std::vector<float> all(static_cast<std::size_t>(m * n));
    Epilogue epilogue;
    epilogue.out = all.data();
    epilogue.out_stride = n;
    epilogue.bias = bias.data();
    epilogue.activation = Activation::quick_gelu;
    PairedProduct(table, stored)({a.data(), k}, m, epilogue);
    for (const int threads : {2, 3, 8}) {
      std::vector<float> threaded(all.size());
      epilogue.out = threaded.data();
      PairedProduct(table, stored, threads)({a.data(), k}, m, epilogue);
      CHECK(threaded == all);
    }
    const PairedProduct product(table, stored);
    std::vector<float> alone(static_cast<std::size_t>(2 * n));
    epilogue.out = alone.data();
    for (index_t r = 0; r < m; r += 2) {
      product({a.data() + r * k, k}, 2, epilogue);
      REQUIRE(std::memcmp(alone.data(), all.data() + r * n, alone.size() * sizeof(float)) == 0);
    }
  });
}

TEST_CASE("products of pairs err at most twice as much as single rows', of the depths that models have") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(29);
    const index_t m = 24;
    const index_t n = 2 * table.panel_columns(DataType::f32);
    for (const index_t k : {768, 4096}) {
      const auto a = random.normals(m * k);
      const auto w = random.normals(n * k);
      const StoredMatrix stored{w.data(), nullptr, DataType::f32, n, k};
      const Context context{&table, {1}};
      std::vector<float> paired(static_cast<std::size_t>(m * n));
      std::vector<float> single(paired.size());
      PairedProduct(table, stored)({a.data(), k}, m, store_to(paired.data(), n, DataType::f32));
      gemm(context, {a.data(), k}, m, PackedMatrix(context, stored), store_to(single.data(), n, DataType::f32));
      double of_pairs = 0.0;
      double of_single = 0.0;
      for (index_t i = 0; i < m * n; ++i) {
        const double sum = exact(a.data() + i / n * k, w.data() + i % n * k, k);
        of_pairs += std::pow(double{paired[static_cast<std::size_t>(i)]} - sum, 2);
        of_single += std::pow(double{single[static_cast<std::size_t>(i)]} - sum, 2);
      }
      CAPTURE(k);
      CAPTURE(std::sqrt(of_pairs / of_single));
      CHECK(of_pairs <= 4.0 * of_single);
      CHECK(of_pairs > 0.0);
    }
  });
}

TEST_CASE("integers in 16 bits: products of pairs are single rows', to the bit, the greatest bytes among them") {
  support::for_each_isa([](const KernelTable& table) {
    if (table.int8_runs_as != DataType::i16) return;
    support::Random random(37);
    const index_t nr = table.panel_columns(DataType::i16);
    for (int round = 0; round < 12; ++round) {
      const index_t m = 2 * random.whole(1, 40);
      const index_t n = random.whole(nr + 1, 5 * nr);
      const index_t k = 8 * random.whole(32, 60);
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      const support::RandomRows rows(table, random, DataType::i16, m, k);
      const support::RandomWeights weights(random, DataType::i16, n, k);
      const Context context{&table, {1}};
      std::vector<float> single(static_cast<std::size_t>(m * n));
      std::vector<float> paired(single.size());
      gemm(context, rows.read(), m, PackedMatrix(context, weights.stored, DataType::i16),
           store_to(single.data(), n, DataType::f32));
      const PairedProduct product(table, weights.stored, static_cast<int>(random.whole(1, 3)), DataType::i16);
      product(rows.read(), m, store_to(paired.data(), n, DataType::f32));
      REQUIRE(std::memcmp(single.data(), paired.data(), single.size() * sizeof(float)) == 0);
    }
    // sums that leave 32 bits on the way: rows and weights of greatest bytes, as deep as ViT-L
    const index_t k = 4096;
    std::vector<std::int16_t> row(static_cast<std::size_t>(2 * k));
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = i < 4096 + 2048 ? 255 : 0;
    RowScale scales[2];
    for (index_t r = 0; r < 2; ++r) {
      const std::int16_t* x = row.data() + r * k;
      scales[r] = {1.0f, 0.0f, 0};
      for (index_t i = 0; i < k; i += 4) {
        scales[r].self_product += static_cast<std::uint32_t>(x[i] * x[i + 2] + x[i + 1] * x[i + 3]);
      }
    }
    std::vector<std::int8_t> bytes(static_cast<std::size_t>(2 * nr * k));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i / 2048 % 3 == 0 ? -127 : 127;
    const std::vector<float> ones(static_cast<std::size_t>(2 * nr), 1.0f);
    const StoredMatrix w{bytes.data(), ones.data(), DataType::i8, 2 * nr, k};
    std::vector<float> found(static_cast<std::size_t>(4 * nr));
    PairedProduct(table, w, 1, DataType::i16)({row.data(), k, DataType::i16, scales}, 2,
                                              store_to(found.data(), 2 * nr, DataType::f32));
    for (index_t i = 0; i < 4 * nr; ++i) {
      std::int64_t sum = 0;
      for (index_t j = 0; j < k; ++j) {
        sum += row[static_cast<std::size_t>(i / (2 * nr) * k + j)] *
               std::int64_t{bytes[static_cast<std::size_t>(i % (2 * nr) * k + j)]};
      }
      REQUIRE(found[static_cast<std::size_t>(i)] == static_cast<float>(sum));
    }
  });
}

TEST_CASE("only weights that are deep and wide enough take rows in pairs") {
  const KernelTable& table = *built_table(Isa::scalar);
  const Context context{&table, {1}};
  support::Random random(31);
  const auto values = random.normals(64 * 300);
  const auto in_pairs = [&](index_t n, index_t k, DataType type, Rows rows) {
    return PackedMatrix(context, {values.data(), nullptr, DataType::f32, n, k}, type, rows).in_pairs();
  };
  CHECK(in_pairs(64, 256, DataType::f32, Rows::in_pairs));
  CHECK_FALSE(in_pairs(64, 256, DataType::f32, Rows::single));
  CHECK(in_pairs(64, 256, DataType::bf16, Rows::in_pairs));      // widened
  CHECK(in_pairs(64, 256, DataType::i8, Rows::in_pairs));        // in 16 bits
  CHECK_FALSE(in_pairs(64, 260, DataType::i8, Rows::in_pairs));  // halves of whole steps of four
  CHECK_FALSE(in_pairs(64, 254, DataType::f32, Rows::in_pairs));
  CHECK_FALSE(in_pairs(64, 257, DataType::f32, Rows::in_pairs));
  CHECK_FALSE(in_pairs(table.panel_columns(DataType::f32), 256, DataType::f32, Rows::in_pairs));
}

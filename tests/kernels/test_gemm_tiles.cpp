// The products on tiles (AMX), with tiles in plain C++: the same code as on the processors that have them.
#include "attention_checks.hpp"
#include "product_checks.hpp"
#include "tiles_in_cpp.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

constexpr DataType kTileTypes[] = {DataType::bf16, DataType::i8};

}  // namespace

TEST_CASE("tiles: products agree with the definition") {
  support::check_products(support::tiles_table(), kTileTypes, 120);
}

TEST_CASE("tiles: a row's bits are the same alone, in a batch and at any thread count") {
  support::check_rows_alone(support::tiles_table(), kTileTypes);
}

TEST_CASE("tiles: attention agrees with the definition") {
  support::check_attention(support::tiles_table());
  support::check_large_scores(support::tiles_table());
}

TEST_CASE("tiles: int8 products are the bits of every other instruction set") {
  const KernelTable& tiles = support::tiles_table();
  const KernelTable& other = *built_table(Isa::scalar);
  for (const index_t k : {64, 100, 333, 768}) {
    const index_t m = 67;
    const index_t n = 101;
    std::vector<float> found[2];
    for (const auto* table : {&tiles, &other}) {
      support::Random random(static_cast<unsigned>(k));
      const support::RandomRows rows(*table, random, table->int8_runs_as, m, k);
      const support::RandomWeights weights(random, table->int8_runs_as, n, k);
      const Context context{table, {1}};
      auto& out = found[table == &tiles ? 0 : 1];
      out.resize(static_cast<std::size_t>(m * n));
      Epilogue epilogue;
      epilogue.out = out.data();
      epilogue.out_stride = n;
      gemm(context, rows.read(), m, PackedMatrix(context, weights.stored, table->int8_runs_as), epilogue);
    }
    CHECK(std::memcmp(found[0].data(), found[1].data(), found[0].size() * sizeof(float)) == 0);
  }
}

TEST_CASE("tiles: sums that wait are finished once each, in order, however many steps they wait for") {
  for (const index_t rows : {1, 7, 15, 32}) {
    for (const index_t steps : {0, 1, 3, 600}) {  // from 256 steps on, what is due is rounded up to more than all
      CAPTURE(rows);
      CAPTURE(steps);
      index_t done = 0;
      const auto finish = [&](const float*, index_t row, index_t count, index_t, index_t) {
        CHECK(row == done);
        done += count;
      };
      WaitingSums<float, decltype(finish)> sums(finish);
      sums.add(0, rows, 0, kTilePanel, steps);
      for (index_t step = 0; step < steps; ++step) sums.between();
      sums.finish();
      CHECK(done == rows);
    }
  }
}

// dot_topk: each ISA against kernels/reference.hpp, in every stored type.
#include <clipon/kernels/reference.hpp>
#include <clipon/search.hpp>

#include "operands.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

struct Problem {
  Problem(support::Random& random, DataType type, index_t rows, index_t width)
      : weights(random, type == DataType::f16 ? DataType::f32 : type, rows, width), query(random.normals(width)) {
    matrix = weights.stored;
    if (type != DataType::f16) return;
    const auto* values = static_cast<const float*>(matrix.data);
    for (index_t i = 0; i < rows * width; ++i) halves.push_back(float_to_f16(values[i]));
    matrix.data = halves.data();
    matrix.type = DataType::f16;
  }

  // Rounding of a sum of `width` products, each at most as large as its terms: width epsilon times the sum of sizes.
  [[nodiscard]] double error(index_t row) const {
    double size = 0.0;
    for (index_t i = 0; i < matrix.columns; ++i) {
      size += std::fabs(double{reference::element(matrix, row, i)} * double{query[static_cast<std::size_t>(i)]});
    }
    return static_cast<double>(matrix.columns + 2) * 0x1p-24 * size;
  }

  support::RandomWeights weights;
  std::vector<float> query;
  std::vector<std::uint16_t> halves;
  StoredMatrix matrix;
};

std::vector<Candidate> run(const KernelTable& table, const Problem& problem, index_t k, index_t first, index_t rows) {
  std::vector<Candidate> heap(static_cast<std::size_t>(k));
  TopkRows job{problem.matrix, problem.query.data(), first, rows, k, heap.data()};
  heap.resize(static_cast<std::size_t>(table.dot_topk(job)));
  std::sort(heap.begin(), heap.end(), precedes);
  return heap;
}

constexpr DataType kStoredTypes[] = {DataType::f32, DataType::f16, DataType::bf16, DataType::i8};

}  // namespace

TEST_CASE("dot_topk finds the definition's rows, in every type and at widths around the register") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(31);
    for (const DataType type : kStoredTypes) {
      for (const index_t width : {1, 3, 15, 16, 17, 64, 100, 192, 512, 515}) {
        const index_t rows = 300;
        const Problem problem(random, type, rows, width);
        for (const index_t k : {1, 10, 300}) {
          const auto expected = reference::dot_topk(problem.matrix, problem.query.data(), k);
          const auto found = run(table, problem, k, 0, rows);
          CAPTURE(to_string(type));
          CAPTURE(width);
          REQUIRE(found.size() == expected.size());
          for (std::size_t i = 0; i < found.size(); ++i) {
            const double limit = problem.error(found[i].row) + problem.error(expected[i].row);
            REQUIRE(std::fabs(double{found[i].dot} - double{expected[i].dot}) <= limit);
          }
        }
      }
    }
  });
}

TEST_CASE("dot_topk: rows of equal product in order, NaN left out, rows divided anyhow") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(32);
    Problem problem(random, DataType::f32, 64, 32);
    auto* values = const_cast<float*>(static_cast<const float*>(problem.matrix.data));
    for (index_t r = 0; r < 64; ++r) std::copy_n(values, 32, values + r * 32);  // all rows are alike
    values[3 * 32 + 7] = std::bit_cast<float>(0x7fc00000u);
    const auto found = run(table, problem, 5, 0, 64);
    REQUIRE(found.size() == 5);
    const index_t expected[] = {0, 1, 2, 4, 5};
    for (std::size_t i = 0; i < 5; ++i) CHECK(found[i].row == expected[i]);
    CHECK(run(table, problem, 64, 0, 64).size() == 63);

    for (const DataType type : kStoredTypes) {
      const Problem other(random, type, 200, 40);
      const auto whole = run(table, other, 7, 0, 200);
      auto heap = run(table, other, 7, 0, 5);
      CHECK(heap.size() == 5);
      const auto rest = run(table, other, 7, 5, 195);
      heap.insert(heap.end(), rest.begin(), rest.end());
      std::sort(heap.begin(), heap.end(), precedes);
      for (std::size_t i = 0; i < 7; ++i) {
        CHECK(heap[i].row == whole[i].row);
        CHECK(heap[i].dot == whole[i].dot);  // the same bits, however the rows are divided
      }
    }
  });
}

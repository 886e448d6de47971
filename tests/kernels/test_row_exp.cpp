// Softmax sums and the best few of a row, on every instruction set.
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <limits>

#include "support.hpp"

using namespace clipon;

TEST_CASE("the sum of a row's exponentials and each of them, as in double") {
  support::Random random(31);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t n : {1, 2, 7, 8, 15, 16, 17, 48, 63, 64, 65, 1000}) {
      auto x = random.normals(n, 0.3f);
      const float scale = 20.0f;
      const auto found = table.row_exp(x.data(), n, scale);
      const auto expected = kernels::reference::row_exp(x.data(), n, scale);
      CHECK(found.greatest == expected.greatest);
      // each term: 2 ulp of exp and, through the rounded exponent (up to 50), 50 ulp; the sum's own error is smaller
      CHECK(found.sum == doctest::Approx(double{expected.sum}).epsilon(60 * 1.2e-7));
      std::vector<float> e(x.size() + 1, 7.0f);
      table.exponentials(x.data(), n, scale, 0.1f, e.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(double{e[i]} == doctest::Approx(std::exp(20.0 * (double{x[i]} - double{0.1f}))).epsilon(60 * 1.2e-7));
      }
      CHECK(e.back() == 7.0f);  // nothing past the row
    }
  });
}

TEST_CASE("products with a few rows, and the same bits whatever the number of rows") {
  support::Random random(33);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t depth : {1, 15, 16, 33, 192, 512}) {
      for (const index_t columns : {1, 2, 5, 16}) {
        const index_t rows = 11;
        const auto x = random.normals(rows * (depth + 3));
        const auto w = random.normals(columns * depth);
        std::vector<float> found(static_cast<std::size_t>(rows * columns + 1), 7.0f);
        std::vector<float> expected = found;
        kernels::RowDots job{x.data(), depth + 3, rows, w.data(), depth, columns, depth, found.data()};
        table.row_dots(job);
        job.out = expected.data();
        kernels::reference::row_dots(job);
        for (std::size_t i = 0; i < found.size(); ++i) {
          // each of `depth` additions of terms of about 1 rounds by half an ulp of a sum of about sqrt(depth)
          CHECK(std::fabs(found[i] - expected[i]) <= 6e-8f * static_cast<float>(depth) * 2.0f + 1e-6f);
        }
        std::vector<float> alone(static_cast<std::size_t>(columns));
        job.x += 2 * (depth + 3);
        job.rows = 1;
        job.out = alone.data();
        table.row_dots(job);
        for (index_t c = 0; c < columns; ++c)
          CHECK(alone[static_cast<std::size_t>(c)] == found[static_cast<std::size_t>(2 * columns + c)]);
      }
    }
  });
}

TEST_CASE("the best few of a row in order; of equal ones the first") {
  support::Random random(32);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t n : {1, 3, 16, 64, 65, 200, 1000}) {
      for (const index_t k : {1, 2, 5, 64}) {
        if (k > n) continue;
        auto x = random.normals(n);
        for (float& value : x) value = std::round(value * 4.0f) / 4.0f;  // many ties
        std::vector<float> values(static_cast<std::size_t>(k));
        std::vector<float> expected_values(values.size());
        std::vector<std::int32_t> indices(values.size());
        std::vector<std::int32_t> expected(values.size());
        table.best_of_row(x.data(), n, k, values.data(), indices.data());
        kernels::reference::best_of_row(x.data(), n, k, expected_values.data(), expected.data());
        CHECK(indices == expected);
        CHECK(values == expected_values);
      }
    }
  });
}

TEST_CASE("a row of NaN, as a picture that failed leaves behind, still gets indices within it") {
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t n : {8, 64, 200}) {
      const std::vector<float> x(static_cast<std::size_t>(n), std::numeric_limits<float>::quiet_NaN());
      for (const index_t k : {1, 2, 5}) {
        float values[5];
        std::int32_t indices[5] = {-1, -1, -1, -1, -1};
        table.best_of_row(x.data(), n, k, values, indices);
        for (index_t i = 0; i < k; ++i) CHECK(indices[i] == i);
      }
    }
  });
}

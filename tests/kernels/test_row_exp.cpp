// Softmax sums and the best few of a row, on every instruction set.
#include <algorithm>
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

TEST_CASE("exponentials are within 2 ulp from -87 to 88, and beyond those of the ends") {
  std::vector<float> x = {-1e30f, -88.0f, 89.0f, 1e30f};
  for (float value = -87.0f; value <= 88.0f; value += 0.0137f) x.push_back(value);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    std::vector<float> found(x.size());
    table.exponentials(x.data(), static_cast<index_t>(x.size()), 1.0f, 0.0f, found.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      const double expected = std::exp(std::clamp(double{x[i]}, -87.0, 88.0));
      REQUIRE(std::fabs(double{found[i]} - expected) <= 2 * 0x1p-23 * expected);
    }
  });
}

TEST_CASE(
    "sums of exponentials and the best two of many rows of a few, row by row the same bits whatever their number") {
  support::Random random(34);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t columns : {1, 2, 3, 4, 8, 17, 32}) {
      for (const index_t rows : {1, 5, 16, 39}) {
        const index_t stride = columns + 2;
        auto x = random.normals(rows * stride + 3, 0.3f);
        for (float& value : x) value = std::round(value * 16.0f) / 16.0f;  // many ties
        const kernels::RowsOfFew job{x.data(), stride, rows, columns};
        const auto n = static_cast<std::size_t>(rows);
        struct Found {
          std::vector<float> greatest, sum, best, next;
          std::vector<std::int32_t> best_index, next_index;
          explicit Found(std::size_t size)
              : greatest(size, 7.0f),
                sum(greatest),
                best(greatest),
                next(greatest),
                best_index(size, 7),
                next_index(size, 7) {}
        };
        const auto run = [](const auto& exp_of_rows, const auto& best_two, const kernels::RowsOfFew& of, Found& out) {
          exp_of_rows(of, 20.0f, out.greatest.data(), out.sum.data());
          best_two(of, {out.best.data(), out.next.data(), out.best_index.data(), out.next_index.data()});
        };
        Found found(n + 1);
        Found expected(n + 1);
        run(table.exp_of_rows, table.best_two_of_rows, job, found);
        run(kernels::reference::exp_of_rows, kernels::reference::best_two_of_rows, job, expected);
        CHECK(found.greatest == expected.greatest);
        CHECK(found.best == expected.best);
        CHECK(found.next == expected.next);
        CHECK(found.best_index == expected.best_index);
        CHECK(found.next_index == expected.next_index);
        for (std::size_t i = 0; i <= n; ++i) {  // as above; nothing past the rows
          CHECK(found.sum[i] == doctest::Approx(double{expected.sum[i]}).epsilon(60 * 1.2e-7));
        }
        Found alone(1);
        run(table.exp_of_rows, table.best_two_of_rows, {x.data() + (rows - 1) * stride, stride, 1, columns}, alone);
        CHECK(alone.sum[0] == found.sum[n - 1]);
      }
    }
  });
}

TEST_CASE("products with a few rows, and the same bits whatever the number of rows") {
  support::Random random(33);
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const index_t depth : {1, 15, 16, 33, 192, 512}) {
      for (const index_t columns : {1, 2, 4, 5, 8, 16}) {
        const index_t rows = depth < 100 ? 11 : 131;
        const auto x = random.normals(rows * (depth + 3));
        const auto w = random.normals(columns * depth);
        std::vector<float> found(static_cast<std::size_t>(rows * columns + 1), 7.0f);
        std::vector<float> expected = found;
        kernels::RowDots job{x.data(), depth + 3, rows, w.data(), depth, columns, depth, found.data()};
        table.row_dots(job);
        job.out = expected.data();
        kernels::reference::row_dots(job);
        for (std::size_t i = 0; i < found.size(); ++i) {
          // The k-th addition rounds by at most u = 2^-24 of a sum of about sqrt(k): all together a random walk of
          // standard deviation u depth / sqrt(6).  Ten of those, since sums of one row are large or small together.
          CHECK(std::fabs(found[i] - expected[i]) <= 10 * 6e-8f * static_cast<float>(depth) / 2.45f + 1e-6f);
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
      for (const index_t k : {1, 2, 5, 17, 64}) {
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
      if (n > kernels::kMostOfFew) continue;
      float values[2];
      std::int32_t indices[2] = {-1, -1};
      const std::vector<float> row(static_cast<std::size_t>(n + 3), x[0]);
      table.best_two_of_rows({row.data(), n, 1, n}, {values, values + 1, indices, indices + 1});
      CHECK(indices[0] == 0);
      CHECK(indices[1] == 1);
    }
  });
}

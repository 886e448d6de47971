// Winograd's transforms: each ISA against the matrices in kernels/reference.hpp.
#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <numeric>

#include "support.hpp"
#include "winograd_growth.hpp"

using namespace clipon;
using namespace clipon::kernels;

namespace {

reference::WinogradMatrices::Matrix magnitudes(reference::WinogradMatrices::Matrix matrix) {
  for (auto& row : matrix) {
    for (double& x : row) x = std::fabs(x);
  }
  return matrix;
}

std::vector<double> magnitudes(std::vector<double> values) {
  for (double& x : values) x = std::fabs(x);
  return values;
}

// Elements of both types with the same values: what bf16 holds.
struct Elements {
  explicit Elements(std::vector<float> values) : floats(std::move(values)) {
    for (float& x : floats) {
      halves.push_back(float_to_bf16(x));
      x = bf16_to_float(halves.back());
    }
  }
  [[nodiscard]] const void* data(DataType type) const {
    return type == DataType::f32 ? static_cast<const void*>(floats.data()) : halves.data();
  }
  [[nodiscard]] void* data(DataType type) {
    return type == DataType::f32 ? static_cast<void*>(floats.data()) : halves.data();
  }
  [[nodiscard]] double at(DataType type, index_t i) const {
    const auto k = static_cast<std::size_t>(i);
    return type == DataType::f32 ? double{floats[k]} : double{bf16_to_float(halves[k])};
  }
  std::vector<float> floats;
  std::vector<std::uint16_t> halves;
};

WinogradTiles random_tiles(support::Random& random, int round) {
  WinogradTiles tiles;
  tiles.type = round % 2 == 0 ? DataType::f32 : DataType::bf16;
  tiles.m = round % 4 < 2 ? 2 : 4;
  tiles.height = random.whole(1, 15);
  tiles.width = random.whole(1, 15);
  tiles.channels = random.whole(1, 40);
  const index_t all = 2 * ((tiles.height + tiles.m - 1) / tiles.m) * ((tiles.width + tiles.m - 1) / tiles.m);
  tiles.first = random.whole(0, all - 1);
  tiles.count = random.whole(1, all - tiles.first);  // of two maps
  return tiles;
}

// Row and column of tile t's first output, and its map.
struct Place {
  index_t map, y, x;
};
Place place(const WinogradTiles& tiles, index_t t) {
  const index_t across = (tiles.width + tiles.m - 1) / tiles.m;
  const index_t down = (tiles.height + tiles.m - 1) / tiles.m;
  return {t / (across * down), t / across % down * tiles.m, t % across * tiles.m};
}

// The transformed tiles as bytes, with a scale for each tile and position.
struct BytesOfTiles {
  BytesOfTiles(const KernelTable& table, const WinogradTiles& tiles, const void* maps)
      : count(tiles.count), stride(padded_depth(DataType::i8, tiles.channels)) {
    const index_t positions = (tiles.m + 2) * (tiles.m + 2);
    values.resize(static_cast<std::size_t>(positions * count * stride));
    scales.resize(static_cast<std::size_t>(positions * count));
    std::vector<float> scratch(static_cast<std::size_t>(positions * tiles.channels));
    std::vector<float> border(static_cast<std::size_t>(tiles.channels), 1.0f);
    table.winograd_input(
        tiles, maps,
        {{values.data(), stride, DataType::i8, scales.data()}, count * stride, scratch.data(), border.data()});
  }
  [[nodiscard]] double at(index_t position, index_t tile, index_t channel) const {
    return reference::element(Operand{values.data(), stride, DataType::i8, scales.data()}, position * count + tile,
                              channel);
  }
  index_t count;
  index_t stride;
  std::vector<std::uint8_t> values;
  std::vector<RowScale> scales;
};

double unit(DataType type) {
  return type == DataType::f32 ? 0x1p-24 : 0x1p-8;
}

}  // namespace

TEST_CASE("winograd_input is B^T d B: random maps, both tiles, every type, every ISA") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(21);
    for (int round = 0; round < 60; ++round) {
      const WinogradTiles tiles = random_tiles(random, round);
      const index_t n = tiles.m + 2;
      const auto bt = reference::winograd_matrices(tiles.m).bt;
      const Elements maps(random.normals(2 * tiles.height * tiles.width * tiles.channels));
      const index_t position_stride = tiles.count * tiles.channels + random.whole(0, 9);
      Elements rows(std::vector<float>(static_cast<std::size_t>(n * n * position_stride), -1.0f));
      std::vector<float> border(static_cast<std::size_t>(tiles.channels), 1.0f);
      table.winograd_input(
          tiles, maps.data(tiles.type),
          {{rows.data(tiles.type), tiles.channels, tiles.type, nullptr}, position_stride, nullptr, border.data()});
      const BytesOfTiles bytes(table, tiles, maps.data(tiles.type));
      for (index_t t = 0; t < tiles.count; ++t) {
        const Place at = place(tiles, tiles.first + t);
        for (index_t c = 0; c < tiles.channels; ++c) {
          std::vector<double> d;
          for (index_t k = 0; k < n * n; ++k) {
            const index_t y = at.y + k / n - 1;
            const index_t x = at.x + k % n - 1;
            const bool inside = y >= 0 && y < tiles.height && x >= 0 && x < tiles.width;
            const index_t pixel = (at.map * tiles.height + y) * tiles.width + x;
            d.push_back(inside ? maps.at(tiles.type, pixel * tiles.channels + c) : 0.0);
          }
          const auto expected = reference::both_sides(bt, d);
          const auto size = reference::both_sides(magnitudes(bt), magnitudes(d));
          for (index_t k = 0; k < n * n; ++k) {
            const double found = rows.at(tiles.type, k * position_stride + t * tiles.channels + c);
            const auto i = static_cast<std::size_t>(k);
            // four roundings a direction of at most the magnitudes' sum, and that of what is stored
            const double transform = 8 * 0x1p-24 * size[i];
            REQUIRE(std::fabs(found - expected[i]) <= transform + unit(tiles.type) * std::fabs(expected[i]) * 1.01);
            // half a step of its row, and as much again where rounding the zero point has moved the range's end
            const double step = double{bytes.scales[static_cast<std::size_t>(k * tiles.count + t)].scale};
            REQUIRE(std::fabs(bytes.at(k, t, c) - expected[i]) <= transform + 1.001 * step);
          }
        }
      }
      // between the matrices nothing is written
      for (index_t k = tiles.count * tiles.channels; k < position_stride; ++k) {
        REQUIRE(rows.at(tiles.type, k) == -1.0);
      }
    }
  });
}

TEST_CASE("winograd_output is relu(A^T s A + bias), pooled or not: random sums, both tiles, both types, every ISA") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(22);
    for (int round = 0; round < 60; ++round) {
      const WinogradTiles tiles = random_tiles(random, round);
      const bool pool = round % 8 >= 4;
      const index_t n = tiles.m + 2;
      const index_t step = pool ? 2 : 1;
      const index_t height = tiles.height / step;
      const index_t width = tiles.width / step;
      const auto matrix = reference::winograd_matrices(tiles.m).at;
      const index_t position_stride = tiles.count * tiles.channels + random.whole(0, 9);
      const auto sums = random.normals(n * n * position_stride);
      const auto bias = random.normals(tiles.channels);
      Elements maps(std::vector<float>(static_cast<std::size_t>(2 * height * width * tiles.channels), -1.0f));
      table.winograd_output(tiles, sums.data(), position_stride, bias.data(), pool, maps.data(tiles.type));
      std::vector<double> expected(maps.floats.size(), -1.0);  // what no tile covers stays as it was
      std::vector<double> size(expected.size());
      for (index_t t = 0; t < tiles.count; ++t) {
        const Place at = place(tiles, tiles.first + t);
        for (index_t c = 0; c < tiles.channels; ++c) {
          std::vector<double> s;
          for (index_t k = 0; k < n * n; ++k) {
            s.push_back(double{sums[static_cast<std::size_t>(k * position_stride + t * tiles.channels + c)]});
          }
          const auto y = reference::both_sides(matrix, s);
          const auto y_size = reference::both_sides(magnitudes(matrix), magnitudes(s));
          for (index_t k = 0; k < tiles.m * tiles.m; ++k) {
            const index_t row = (at.y + k / tiles.m) / step;
            const index_t column = (at.x + k % tiles.m) / step;
            if (row >= height || column >= width) continue;
            const auto i = static_cast<std::size_t>(((at.map * height + row) * width + column) * tiles.channels + c);
            const double b = double{bias[static_cast<std::size_t>(c)]};
            const double share = 1.0 / static_cast<double>(step * step);
            const bool first = k / tiles.m % step == 0 && k % tiles.m % step == 0;
            expected[i] = (first ? 0.0 : expected[i]) + std::max(y[static_cast<std::size_t>(k)] + b, 0.0) * share;
            size[i] += (y_size[static_cast<std::size_t>(k)] + std::fabs(b)) * share;
          }
        }
      }
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // five roundings a direction, the bias, the pool's three, and that of what is stored
        const double limit = 14 * 0x1p-24 * size[i] + unit(tiles.type) * std::fabs(expected[i]) * 1.01;
        REQUIRE(std::fabs(maps.at(tiles.type, static_cast<index_t>(i)) - expected[i]) <= limit);
      }
    }
  });
}

TEST_CASE("the points of 4 outputs keep rounding small, and the matrices are a convolution") {
  // the variance of an error over that of the outputs, both directions, mean of a tile's outputs
  const auto growth = [](const reference::WinogradMatrices& matrices) {
    const auto outputs = support::winograd_growth(matrices);
    const double sum = std::accumulate(outputs.begin(), outputs.end(), 0.0);
    return std::pow(sum / static_cast<double>(3 * outputs.size()), 2);
  };
  const auto of = [&](const std::vector<double>& points) { return growth(reference::winograd_matrices(points)); };
  CHECK(of({0, 1, -1, 2, -2}) == doctest::Approx(116.05).epsilon(1e-4));
  CHECK(of({0, 0.65, -0.65, 1.53, -1.53}) == doctest::Approx(22.49).epsilon(1e-3));
  for (const index_t m : {2, 4}) {
    const auto matrices = reference::winograd_matrices(m);
    CHECK(growth(matrices) < (m == 2 ? 2.78 : 22.86));
    support::Random random(23);
    const auto d = random.normals(m + 2);
    const auto g = random.normals(3);
    for (index_t y = 0; y < m; ++y) {
      const auto dot = [](const std::vector<double>& row, const std::vector<float>& x) {
        return std::inner_product(row.begin(), row.end(), x.begin(), 0.0);
      };
      double found = 0.0;
      for (std::size_t i = 0; i < d.size(); ++i) {
        found += matrices.at[static_cast<std::size_t>(y)][i] * dot(matrices.bt[i], d) * dot(matrices.g[i], g);
      }
      double expected = 0.0;
      for (index_t k = 0; k < 3; ++k) {
        expected += double{d[static_cast<std::size_t>(y + k)]} * double{g[static_cast<std::size_t>(k)]};
      }
      CHECK(found == doctest::Approx(expected).epsilon(1e-12));
    }
  }
}

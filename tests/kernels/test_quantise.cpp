#include <algorithm>
#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "operands.hpp"

using namespace clipon;
using namespace clipon::kernels;

TEST_CASE("quantise: bf16 is the nearest, bytes are within half a step, zero is exact, padding is zero") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(14);
    for (const index_t n : {1, 3, 15, 16, 17, 64, 87, 129, 768}) {
      const index_t rows = 6;
      auto x = random.normals(rows * n);
      for (index_t i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = 0.0f;             // a row of zeros
      for (index_t i = 0; i < n; ++i) x[static_cast<std::size_t>(n + i)] += 100.0f;      // far above 0
      for (index_t i = 0; i < n; ++i) x[static_cast<std::size_t>(2 * n + i)] *= 1e-20f;  // tiny
      const index_t stride = padded_depth(DataType::i8, n);
      std::vector<std::uint16_t> halves(static_cast<std::size_t>(rows * stride), 9);
      table.quantise({x.data(), n}, rows, n, {halves.data(), stride, DataType::bf16, nullptr});
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows * stride), 9);
      std::vector<RowScale> scales(static_cast<std::size_t>(rows));
      table.quantise({x.data(), n}, rows, n, {bytes.data(), stride, DataType::i8, scales.data()});
      const Operand quantised{bytes.data(), stride, DataType::i8, scales.data()};
      for (index_t r = 0; r < rows; ++r) {
        const RowScale scale = scales[static_cast<std::size_t>(r)];
        REQUIRE(scale.zero >= 0.0f);
        REQUIRE(scale.zero <= 255.0f);
        for (index_t i = 0; i < n; ++i) {
          const float value = x[static_cast<std::size_t>(r * n + i)];
          REQUIRE(halves[static_cast<std::size_t>(r * stride + i)] == float_to_bf16(value));
          // half a step, and as much again where rounding the zero point has moved the range's end
          REQUIRE(std::fabs(reference::element(quantised, r, i) - double{value}) <= 1.001 * double{scale.scale});
        }
        for (index_t i = n; i < padded_depth(DataType::bf16, n); ++i) {
          REQUIRE(halves[static_cast<std::size_t>(r * stride + i)] == 0);
        }
        for (index_t i = n; i < stride; ++i) REQUIRE(bytes[static_cast<std::size_t>(r * stride + i)] == 0);
      }
      // bytes made from bf16 rows are those made from the same values in f32
      for (auto& v : x) v = bf16_to_float(float_to_bf16(v));
      std::vector<std::uint8_t> from_floats(bytes.size());
      std::vector<std::uint8_t> from_halves(bytes.size());
      table.quantise({x.data(), n}, rows, n, {from_floats.data(), stride, DataType::i8, scales.data()});
      table.quantise({halves.data(), stride, DataType::bf16}, rows, n,
                     {from_halves.data(), stride, DataType::i8, scales.data()});
      for (index_t r = 0; r < rows; ++r) {
        REQUIRE(std::memcmp(from_floats.data() + r * stride, from_halves.data() + r * stride,
                            static_cast<std::size_t>(n)) == 0);
      }
    }
  });
}

TEST_CASE("a row too small to have a scale becomes zeros, and no other") {
  support::for_each_isa([](const KernelTable& table) {
    const index_t n = 37;
    const index_t stride = padded_depth(DataType::i8, n);
    std::vector<float> x(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = i % 2 == 0 ? 1e-37f : -1e-37f;  // scale: 7.8e-40
    for (const DataType type : {DataType::i8, DataType::i16}) {
      std::vector<unsigned char> found(static_cast<std::size_t>(stride) * size_of(type), 9);
      RowScale scale{1.0f, 1.0f, 1};
      table.quantise({x.data(), n}, 1, n, {found.data(), stride, type, &scale});
      CHECK(scale.scale == 0.0f);
      CHECK(scale.zero == 0.0f);
      CHECK(found == std::vector<unsigned char>(found.size(), 0));
      std::vector<float> larger = x;
      for (float& value : larger) value *= 100.0f;
      table.quantise({larger.data(), n}, 1, n, {found.data(), stride, type, &scale});
      CHECK(scale.scale == doctest::Approx(2e-35 / 255));
      CHECK(found != std::vector<unsigned char>(found.size(), 0));
    }
  });
}

TEST_CASE("values that rounding carries past the first or the last byte become that byte") {
  // 255 steps and zero points of 2: 253.5 is halfway from 255 to 256, which is even; 1 / 15 is rounded up, so that
  // -37.5 is more than half a step below 0.
  for (const auto& [least, greatest] : {std::pair{-1.5f, 253.5f}, std::pair{-37.5f, 3787.5f}}) {
    support::for_each_isa([least = least, greatest = greatest](const KernelTable& table) {
      constexpr index_t n = 87;  // four registers, one and a rest on every ISA
      std::vector<float> x;
      for (index_t i = 0; i < n; ++i) x.push_back(i % 2 == 0 ? least : greatest);
      RowScale scale;
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(padded_depth(DataType::i8, n)));
      table.quantise({x.data(), n}, 1, n, {bytes.data(), n, DataType::i8, &scale});
      CHECK(scale.zero == 2.0f);
      std::vector<std::int16_t> words(bytes.size());
      table.quantise({x.data(), n}, 1, n, {words.data(), n, DataType::i16, &scale});
      for (std::size_t i = 0; i < x.size(); ++i) {
        REQUIRE(int{bytes[i]} == (i % 2 == 0 ? 0 : 255));
        REQUIRE(int{words[i]} == int{bytes[i]});
      }
    });
  }
}

TEST_CASE("integers in 16 bits are the bytes, with the products of a row with itself") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(15);
    for (const index_t n : {1, 2, 4, 15, 33, 64, 87, 768}) {
      const auto x = random.normals(2 * n);
      const index_t padded = padded_depth(DataType::i16, n);
      CHECK(padded % 4 == 0);
      const index_t stride = padded_depth(DataType::i8, n);
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(2 * stride), 9);
      std::vector<std::int16_t> words(bytes.size(), 9);
      RowScale of_bytes[2];
      RowScale of_words[2];
      table.quantise({x.data(), n}, 2, n, {bytes.data(), stride, DataType::i8, of_bytes});
      table.quantise({x.data(), n}, 2, n, {words.data(), stride, DataType::i16, of_words});
      for (index_t r = 0; r < 2; ++r) {
        CHECK(of_words[r].scale == of_bytes[r].scale);
        CHECK(of_words[r].zero == of_bytes[r].zero);
        std::uint32_t self_product = 0;
        for (index_t i = 0; i < padded; ++i) {
          const auto at = static_cast<std::size_t>(r * stride + i);
          REQUIRE(words[at] == bytes[at]);
          if (i % 4 < 2) self_product += static_cast<std::uint32_t>(words[at] * words[at + 2]);
        }
        CHECK(of_words[r].self_product == self_product);
      }
    }
  });
}

TEST_CASE("a row with NaN or infinity has no finite scale, so that it can't pass for a number") {
  support::for_each_isa([](const KernelTable& table) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      for (const index_t at : {0, 17, 32, 69}) {  // 70: more than any ISA's register of floats or of bf16, and a rest
        std::vector<float> x(70, at % 2 == 0 ? 1.0f : -1.0f);
        x[static_cast<std::size_t>(at)] = bad;
        std::vector<std::uint16_t> halves;
        for (const float value : x) halves.push_back(float_to_bf16(value));
        std::vector<std::uint8_t> bytes(72);
        RowScale scale;
        table.quantise({x.data(), 70}, 1, 70, {bytes.data(), 72, DataType::i8, &scale});
        CHECK_FALSE(std::isfinite(scale.scale));
        scale = {};
        table.quantise({halves.data(), 70, DataType::bf16}, 1, 70, {bytes.data(), 72, DataType::i8, &scale});
        CHECK_FALSE(std::isfinite(scale.scale));
      }
    }
  });
}

TEST_CASE("a row's scale and zero point are those of its least and greatest value, and 0") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(16);
    for (int round = 0; round < 40; ++round) {
      const index_t n = random.whole(1, 100);
      std::vector<float> x;
      std::vector<std::uint16_t> halves;
      float least = 0.0f;
      float greatest = 0.0f;
      for (index_t i = 0; i < n; ++i) {
        const float value = random.normal() + static_cast<float>(round % 3 - 1) * 8.0f;  // of one sign, or of both
        halves.push_back(float_to_bf16(value));
        x.push_back(bf16_to_float(halves.back()));
        least = std::min(least, x.back());
        greatest = std::max(greatest, x.back());
      }
      const index_t stride = padded_depth(DataType::i8, n);
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(stride));
      RowScale of_floats;
      RowScale of_halves;
      table.quantise({x.data(), n}, 1, n, {bytes.data(), stride, DataType::i8, &of_floats});
      table.quantise({halves.data(), n, DataType::bf16}, 1, n, {bytes.data(), stride, DataType::i8, &of_halves});
      CHECK(of_floats.scale == (greatest - least) / 255.0f);
      CHECK(of_halves.scale == of_floats.scale);
      CHECK(of_floats.zero == std::nearbyintf(-least / of_floats.scale));
      CHECK(of_halves.zero == of_floats.zero);
    }
  });
}

TEST_CASE("layer_norm writes what quantising its f32 rows would give, to the bit") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(15);
    for (const index_t width : {16, 50, 192, 768}) {
      const index_t rows = 4;
      const index_t stride = padded_depth(DataType::i8, width);
      const auto x = random.normals(rows * width);
      const auto gain = random.normals(width);
      const auto bias = random.normals(width);
      std::vector<float> wide(x.size());
      LayerNormRows job{x.data(), width, rows, width, gain.data(), bias.data(), 1e-5f, {}};
      job.out = {wide.data(), width, DataType::f32, nullptr};
      table.layer_norm(job);
      for (const DataType type : {DataType::bf16, DataType::i8}) {
        const std::size_t bytes = static_cast<std::size_t>(rows * stride) * size_of(type);
        std::vector<unsigned char> direct(bytes, 1);
        std::vector<unsigned char> twice(bytes, 1);
        std::vector<RowScale> direct_scales(static_cast<std::size_t>(rows));
        std::vector<RowScale> twice_scales(static_cast<std::size_t>(rows));
        job.out = {direct.data(), stride, type, direct_scales.data()};
        table.layer_norm(job);
        table.quantise({wide.data(), width}, rows, width, {twice.data(), stride, type, twice_scales.data()});
        CHECK(direct == twice);
        for (std::size_t r = 0; type == DataType::i8 && r < twice_scales.size(); ++r) {
          CHECK(direct_scales[r].scale == twice_scales[r].scale);
          CHECK(direct_scales[r].zero == twice_scales[r].zero);
        }
      }
    }
  });
}

TEST_CASE("NaN of any payload stays NaN in bf16, and infinity infinite") {
  support::for_each_isa([&](const KernelTable& table) {
    std::vector<float> x;
    for (const std::uint32_t bits : {0x7fffffffu, 0xffffffffu, 0x7f800001u, 0x7fc00000u, 0xff80ffffu, 0x7f800000u}) {
      for (int i = 0; i < 16; ++i) x.push_back(std::bit_cast<float>(bits));
    }
    const auto n = static_cast<index_t>(x.size());
    std::vector<std::uint16_t> halves(x.size());
    table.quantise({x.data(), n}, 1, n, {halves.data(), n, DataType::bf16, nullptr});
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(halves[i] == float_to_bf16(x[i]));
  });
}

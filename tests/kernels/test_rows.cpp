// Activations, LayerNorm, attention, pooling, pixels: each ISA against kernels/reference.hpp.
#include <algorithm>
#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>

#include "attention_checks.hpp"

using namespace clipon;
using namespace clipon::kernels;

TEST_CASE("activations are within 4e-7 of the definition, relative above 1, and in bf16 2^-12 beside its rounding") {
  support::for_each_isa([](const KernelTable& table) {
    const float one = 1.0f;
    const StoredMatrix identity{&one, nullptr, DataType::f32, 1, 1};
    const Context context{&table, {1}};
    const PackedMatrix packed(context, identity);
    for (int a = 0; a <= static_cast<int>(Activation::relu); ++a) {
      for (float x = -30.0f; x <= 30.0f; x += 0.00731f) {
        float found = 0.0f;
        Epilogue epilogue;
        epilogue.out = &found;
        epilogue.out_stride = 1;
        epilogue.activation = static_cast<Activation>(a);
        gemm(context, {&x, 1}, 1, packed, epilogue);
        const double expected = reference::activate(static_cast<Activation>(a), double{x});
        CAPTURE(a);
        CAPTURE(x);
        REQUIRE(std::fabs(double{found} - expected) <= 4e-7 * std::max(1.0, std::fabs(expected)));
        std::uint16_t found_bf16 = 0;
        epilogue.out = nullptr;
        epilogue.out_bf16 = &found_bf16;
        gemm(context, {&x, 1}, 1, packed, epilogue);
        const double rounding = (0x1p-8 + 0x1p-12) * std::fabs(expected);
        REQUIRE(std::fabs(double{bf16_to_float(found_bf16)} - expected) <= rounding + 4e-7);
      }
    }
  });
}

TEST_CASE("layer_norm counts epsilon: rows that vary as little, and rows of zeros, which become the bias") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(17);
    for (const index_t width : {5, 16, 70}) {
      auto x = random.normals(2 * width, 1e-3f);  // their variance is a tenth of epsilon
      std::fill(x.begin() + width, x.end(), 0.0f);
      const auto gain = random.normals(width);
      const auto bias = random.normals(width);
      std::vector<float> expected(static_cast<std::size_t>(width));
      std::vector<float> found(x.size());
      reference::layer_norm(x.data(), width, gain.data(), bias.data(), 1e-5f, expected.data());
      table.layer_norm(
          {x.data(), width, 2, width, gain.data(), bias.data(), 1e-5f, {found.data(), width, DataType::f32, nullptr}});
      for (index_t i = 0; i < width; ++i) {
        const auto at = static_cast<std::size_t>(i);
        // a row's numbers lie around 0, so that each of some 20 roundings is of at most 4 times the gain
        REQUIRE(std::fabs(double{found[at]} - double{expected[at]}) <=
                20 * 0x1p-24 * (4 * std::fabs(double{gain[at]}) + std::fabs(double{bias[at]})));
        REQUIRE(found[static_cast<std::size_t>(width + i)] == bias[at]);
      }
    }
  });
}

TEST_CASE("layer_norm agrees with the definition, also far from zero and in place") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(11);
    for (const index_t width : {5, 16, 33, 63, 128, 192, 512, 768, 1027}) {
      const index_t rows = 5;
      auto x = random.normals(rows * width, 3.0f);
      for (float& v : x) v += 50.0f;
      const auto gain = random.normals(width);
      const auto bias = random.normals(width);
      std::vector<float> expected(x.size());
      for (index_t r = 0; r < rows; ++r) {
        reference::layer_norm(x.data() + r * width, width, gain.data(), bias.data(), 1e-5f,
                              expected.data() + r * width);
      }
      table.layer_norm(
          {x.data(), width, rows, width, gain.data(), bias.data(), 1e-5f, {x.data(), width, DataType::f32, nullptr}});
      for (std::size_t i = 0; i < x.size(); ++i) {
        CAPTURE(width);
        // Rounding of a running sum of `width` numbers near 50, as a random walk: the mean is off by about
        // 50 x 2^-25 x sqrt(width / 3), four times that at most; divided by the deviation of 3, times the gain.
        const double mean_error = 4 * 50 * 0x1p-25 * std::sqrt(static_cast<double>(width) / 3) / 3;
        const double limit = mean_error * std::fabs(double{gain[i % static_cast<std::size_t>(width)]}) + 2e-6;
        REQUIRE(std::fabs(double{x[i]} - double{expected[i]}) <= limit * (1.0 + std::fabs(double{expected[i]})));
      }
    }
  });
}

TEST_CASE("layer_norm reads rows that lie apart and writes them at another distance, and nothing between") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(18);
    constexpr index_t rows = 3;
    constexpr index_t width = 21;
    const index_t apart = width + 5;  // of x
    const index_t stride = padded_depth(DataType::i8, width) + 3;
    const auto x = random.normals(rows * apart);
    const auto gain = random.normals(width);
    const auto bias = random.normals(width);
    for (const DataType type : {DataType::f32, DataType::bf16, DataType::i8}) {
      const auto size = static_cast<index_t>(size_of(type));
      std::vector<unsigned char> all(static_cast<std::size_t>(rows * stride * size), 9);
      std::vector<unsigned char> one(static_cast<std::size_t>(stride * size), 9);
      RowScale scales[rows];
      RowScale scale;
      LayerNormRows job{x.data(), apart, rows, width, gain.data(), bias.data(), 1e-5f, {}};
      job.out = {all.data(), stride, type, scales};
      table.layer_norm(job);
      job.rows = 1;
      job.out = {one.data(), stride, type, &scale};
      for (index_t r = 0; r < rows; ++r) {
        job.x = x.data() + r * apart;
        table.layer_norm(job);
        CHECK(std::equal(one.begin(), one.end(), all.begin() + r * stride * size));
        CHECK(scale.scale == scales[r].scale);
      }
      CHECK(std::all_of(one.end() - 3 * size, one.end(), [](unsigned char byte) { return byte == 9; }));
    }
  });
}

TEST_CASE("of a sequence's last queries, each sees the keys up to its own under the causal mask, all without") {
  AttentionHead head;
  head.queries = 3;
  head.keys = 5;
  for (index_t query = 0; query < 3; ++query) CHECK(head.seen(query) == 5);
  head.causal = true;
  for (index_t query = 0; query < 3; ++query) CHECK(head.seen(query) == 3 + query);
}

TEST_CASE("attention_head agrees with the definition") {
  support::for_each_isa(support::check_attention);
}

TEST_CASE("attention_head gives the greatest of very large scores all the weight") {
  support::for_each_isa(support::check_large_scores);
}

TEST_CASE("average_pool_2x2 agrees with the definition and drops an odd row and column") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(13);
    for (const index_t channels : {1, 5, 16, 33, 64}) {
      const index_t height = 7;
      const index_t width = 9;
      const auto in = random.normals(height * width * channels);
      std::vector<float> found(static_cast<std::size_t>(3 * 4 * channels));
      std::vector<float> expected(found.size());
      table.average_pool_2x2(in.data(), DataType::f32, height, width, channels, found.data());
      reference::average_pool_2x2(in.data(), height, width, channels, expected.data());
      for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == doctest::Approx(expected[i]).epsilon(3e-7));
      std::vector<std::uint16_t> halves;
      for (const float x : in) halves.push_back(float_to_bf16(x));
      std::vector<float> rounded;
      for (const std::uint16_t x : halves) rounded.push_back(bf16_to_float(x));
      std::vector<std::uint16_t> found_halves(found.size());
      table.average_pool_2x2(halves.data(), DataType::bf16, height, width, channels, found_halves.data());
      reference::average_pool_2x2(rounded.data(), height, width, channels, expected.data());
      for (std::size_t i = 0; i < found.size(); ++i) {  // half a step of the 8 bits that are kept, and a float's
        REQUIRE(bf16_to_float(found_halves[i]) == doctest::Approx(expected[i]).epsilon(0.00197));
      }
    }
  });
}

TEST_CASE("normalise_pixels is one multiply and one add") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(14);
    const index_t n = 101;
    const auto pixels = random.bytes(n);
    const auto scale = random.normals(n);
    const auto offset = random.normals(n);
    std::vector<float> found(static_cast<std::size_t>(n));
    table.normalise_pixels(pixels.data(), scale.data(), offset.data(), n, found.data());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double expected = double{scale[i]} * pixels[i] + double{offset[i]};
      REQUIRE(std::fabs(double{found[i]} - expected) <=
              2 * 0x1p-24 * (std::fabs(expected) + 255.0 * std::fabs(scale[i])));
    }
  });
}

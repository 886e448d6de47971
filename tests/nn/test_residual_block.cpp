// A residual block against its definition, and alone, in a batch and at any thread count.
#include <clipon/kernels/reference.hpp>
#include <clipon/nn/bottleneck.hpp>
#include <cmath>
#include <utility>

#include "kernels/operands.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "nn/maps.hpp"

using namespace clipon;
using namespace clipon::nn;
namespace reference = clipon::kernels::reference;

namespace {

using Values = std::vector<double>;

std::vector<float> to_floats(const Values& x) {
  return {x.begin(), x.end()};
}

// A 1 x 1 convolution, and what it is made of.
struct Product {
  Product(const Context& context, support::Random& random, index_t outputs, index_t inputs)
      : weight(random.normals(outputs * inputs, 1.0f / std::sqrt(static_cast<float>(inputs)))),
        bias(random.normals(outputs)) {
    const kernels::StoredMatrix w{weight.data(), nullptr, DataType::f32, outputs, inputs};
    conv = {{kernels::PackedMatrix(context, w), bias}, inputs, 1};
  }

  [[nodiscard]] Values operator()(const Values& x) const {
    const std::size_t n = bias.size();
    const std::size_t depth = weight.size() / n;
    Values y;
    for (std::size_t i = 0; i < x.size() / depth * n; ++i) {
      y.push_back(double{bias[i % n]});
      for (std::size_t k = 0; k < depth; ++k) y.back() += x[i / n * depth + k] * double{weight[i % n * depth + k]};
    }
    return y;
  }

  std::vector<float> weight;  // [outputs, inputs]
  std::vector<float> bias;
  Conv2d conv;
};

Values pooled(const Values& x, MapSize size, index_t channels) {
  const MapSize half = size.half();
  const auto floats = to_floats(x);
  std::vector<float> y(static_cast<std::size_t>(half.pixels() * channels));
  for (index_t p = 0; p < size.pictures; ++p) {
    reference::average_pool_2x2(floats.data() + p * size.height * size.width * channels, size.height, size.width,
                                channels, y.data() + p * half.height * half.width * channels);
  }
  return {y.begin(), y.end()};
}

}  // namespace

TEST_CASE("a residual block is its definition: with a stride and a product for the shortcut, or without, every ISA") {
  support::for_each_isa([](const kernels::KernelTable& table) {
    support::Random random(41);
    const Context context{&table, {2}};
    for (const bool strided : {true, false}) {
      const index_t in = strided ? 6 : 16;
      const index_t planes = 4;
      const MapSize size{2, 5, 7};
      const Product conv1(context, random, planes, in);
      const Product conv3(context, random, 4 * planes, planes);
      const Product downsample(context, random, 4 * planes, in);
      const auto weight = random.normals(planes * planes * 9, 1.0f / 6);
      const auto bias = random.normals(planes);
      const Winograd conv2 = make_winograd(context, weight.data(), planes, planes, bias, {DataType::f32, 4});
      Bottleneck block{conv1.conv, {conv2}, conv3.conv, {}, strided};
      if (strided) block.downsample = downsample.conv;
      const auto x = random.normals(size.pixels() * in);
      const BottleneckSizes sizes = bottleneck_sizes(context, block, size);
      std::vector<float> a(static_cast<std::size_t>(sizes.a));
      std::vector<float> b(static_cast<std::size_t>(sizes.b));
      std::vector<float> found(static_cast<std::size_t>(sizes.out));
      std::vector<unsigned char> scratch(static_cast<std::size_t>(sizes.conv_bytes));
      forward(context, block, x.data(), size, found.data(), {a.data(), b.data(), scratch.data()});

      Values shortcut(x.begin(), x.end());
      Values narrow = conv1(shortcut);
      for (double& v : narrow) v = std::max(v, 0.0);
      const auto map = to_floats(narrow);
      for (index_t p = 0; p < size.pictures; ++p) {
        const index_t first = p * size.height * size.width * planes;
        reference::convolution_3x3(map.data() + first, size.height, size.width, planes, weight.data(), bias.data(),
                                   planes, narrow.data() + first);
      }
      if (strided) {
        narrow = pooled(narrow, size, planes);
        shortcut = downsample(pooled(shortcut, size, in));
      }
      const Values last = conv3(narrow);
      REQUIRE(found.size() == last.size());
      // Numbers of a variance of about 1 all along.  Winograd's error is the largest: 6 deviations of a few roundings,
      // grown by 23 in variance; a sum of it with weights that have a square sum of about 1 is as large.
      const double limit = 6 * std::sqrt(23.0) * 4 * 0x1p-24 * 4;
      for (std::size_t i = 0; i < last.size(); ++i) {
        REQUIRE(std::fabs(double{found[i]} - std::max(last[i] + shortcut[i], 0.0)) <= limit);
      }
    }
  });
}

TEST_CASE("a residual block gives a picture the same bits alone, in a batch and at any thread count") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    for (const DataType type : support::kProductTypes) {
      support::Random random(34);
      const Context serial{&table, {1}};
      const DataType map_type = rows_between({&table, {1}}, kernels::operand_type(table, type));
      const index_t in = 24;
      const index_t planes = 16;
      const index_t pictures = 3;
      Bottleneck block;
      block.conv1 = {support::random_linear(serial, random, planes, in, type), in, 1};
      const auto weights = random.normals(planes * planes * 9, 0.1f);
      if (table.windows && type != DataType::f32) {
        block.conv2 = {make_tile_conv(serial, weights.data(), planes, planes, random.normals(planes), type)};
      } else {
        block.conv2 = {make_winograd(serial, weights.data(), planes, planes, random.normals(planes), {type, 4})};
      }
      block.conv3 = {support::random_linear(serial, random, 4 * planes, planes, type), planes, 1};
      block.downsample = Conv2d{support::random_linear(serial, random, 4 * planes, in, type), in, 1};
      block.pool = true;
      const index_t side = 34;
      const auto bytes = support::stored(map_type, random.normals(pictures * side * side * in));
      const auto run = [&](int threads, index_t first, index_t count) {
        const Context context{&table, {threads}};
        const MapSize size{count, side, side};
        const BottleneckSizes sizes = bottleneck_sizes(context, block, size);
        const auto element = static_cast<index_t>(size_of(map_type));
        Scratch scratch;
        scratch.reset((sizes.a + sizes.b) * element + sizes.conv_bytes + 3 * 64);
        std::vector<unsigned char> out(static_cast<std::size_t>(sizes.out * element));
        auto* a = scratch.take<unsigned char>(sizes.a * element);
        auto* b = scratch.take<unsigned char>(sizes.b * element);
        forward(context, block, bytes.data() + first * side * side * in * element, size, out.data(),
                {a, b, scratch.take<unsigned char>(sizes.conv_bytes)});
        return out;
      };
      const auto all = run(1, 0, pictures);
      CHECK(run(3, 0, pictures) == all);
      std::vector<unsigned char> one_by_one;
      for (index_t p = 0; p < pictures; ++p) {
        const auto one = run(p == 1 ? 2 : 1, p, 1);
        one_by_one.insert(one_by_one.end(), one.begin(), one.end());
      }
      CHECK(one_by_one == all);
    }
  });
}

TEST_CASE("a residual block asks for memory that each of its maps and convolutions fits into") {
  const kernels::KernelTable& table = support::tiles_table();
  const Context context{&table, {3}};
  const MapSize size{1, 2, 2};  // so small that bytes for its 1 x 1 convolutions take more than the padded map
  support::Random random(42);
  for (const auto& channels : {std::pair<index_t, index_t>{400, 4}, {24, 64}, {16384, 4}}) {
    const index_t in = channels.first;
    const index_t planes = channels.second;
    CAPTURE(in);
    const auto product = [&](index_t out, index_t inputs) {
      return Conv2d{support::random_linear(context, random, out, inputs, DataType::i8), inputs, 1};
    };
    const auto weights = random.normals(planes * planes * 9);
    Bottleneck block;
    block.conv1 = product(planes, in);
    block.conv2 = {make_tile_conv(context, weights.data(), planes, planes, random.normals(planes), DataType::i8)};
    block.conv3 = product(4 * planes, planes);
    block.downsample = product(4 * planes, in);
    block.pool = true;
    const BottleneckSizes sizes = bottleneck_sizes(context, block, size);
    CHECK(sizes.a >= size.pixels() * planes);
    CHECK(sizes.a >= size.half().pixels() * in);
    CHECK(sizes.b >= size.half().pixels() * planes);
    for (const Conv2d& conv : {block.conv1, block.conv3, *block.downsample}) {
      CHECK(sizes.conv_bytes >= conv_scratch_bytes(context, conv));
    }
    CHECK(sizes.conv_bytes >= conv3x3_scratch_bytes(context, block.conv2, size, true));
  }
}

// The layers of ModifiedResNet against their definitions: Winograd's convolution, the strided one, attention pooling.
#include <algorithm>
#include <clipon/kernels/reference.hpp>
#include <clipon/nn/attention_pool.hpp>
#include <clipon/nn/bottleneck.hpp>
#include <cmath>

#include "kernels/operands.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "kernels/winograd_growth.hpp"
#include "nn/heads.hpp"
#include "nn/maps.hpp"

using namespace clipon;
using namespace clipon::nn;
namespace reference = clipon::kernels::reference;
using support::loaded;
using support::random_linear;
using support::stored;

TEST_CASE(
    "Winograd's convolution is the convolution: random shapes, tiles and types, pooled or not, every ISA and tiles") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    support::Random random(31);
    for (int round = 0; round < 24; ++round) {
      const DataType type = support::kProductTypes[round % 3];
      const DataType map_type = rows_between({&table, {1}}, kernels::operand_type(table, type));
      const index_t m = round % 2 == 0 ? 2 : 4;
      const bool pool = round % 4 >= 2;
      const index_t in = 2 * random.whole(1, 20);
      const index_t out = 2 * random.whole(1, 30);
      const MapSize size{2, random.whole(2, 17), random.whole(2, 17)};
      CAPTURE(in);
      CAPTURE(out);
      CAPTURE(size.height);
      CAPTURE(size.width);
      const Context context{&table, {static_cast<int>(random.whole(1, 3))}};
      const auto weights = random.normals(out * in * 9);
      const auto bias = random.normals(out);
      const Winograd conv = make_winograd(context, weights.data(), out, in, bias, {type, m});
      const auto maps = support::rounded(map_type, random.normals(size.pixels() * in));
      const auto bytes = stored(map_type, maps);
      const MapSize out_size = pool ? size.half() : size;
      std::vector<unsigned char> found(static_cast<std::size_t>(out_size.pixels() * out) * size_of(map_type));
      std::vector<unsigned char> scratch(static_cast<std::size_t>(winograd_scratch_bytes(context, conv)));
      forward(context, conv, bytes.data(), size, pool, found.data(), scratch.data());
      const index_t pixels = size.height * size.width;
      std::vector<double> expected(static_cast<std::size_t>(size.pixels() * out));
      for (index_t p = 0; p < 2; ++p) {
        reference::convolution_3x3(maps.data() + p * pixels * in, size.height, size.width, in, weights.data(),
                                   bias.data(), out, expected.data() + p * pixels * out);
      }
      // Each of the n^2 products of a channel errs by a few roundings, as if random; maps and weights have variance 1.
      const auto growth = support::winograd_growth(reference::winograd_matrices(m));
      const double root = std::sqrt(static_cast<double>(in));
      // As bytes, a row of 8 deviations from end to end has 255 steps and a row of weights 127 for 4.5 deviations; the
      // error is anywhere within a step.
      const double unit = type == DataType::f32    ? 0x1p-24 * (4 + root)
                          : type == DataType::bf16 ? 0x1p-9 * std::sqrt(2.0)
                                                   : std::hypot(8.0 / 255, 4.5 / 127) / std::sqrt(12.0);
      for (index_t i = 0; i < out_size.pixels() * out; ++i) {
        const index_t pixel = i / out;
        const index_t step = pool ? 2 : 1;
        const index_t y = pixel / out_size.width % out_size.height * step;
        const index_t x = pixel % out_size.width * step;
        const index_t p = pixel / (out_size.width * out_size.height);
        double want = 0.0;
        double limit = 0.0;
        for (index_t k = 0; k < step * step; ++k) {
          const index_t row = y + k / step;
          const index_t column = x + k % step;
          const index_t at = ((p * size.height + row) * size.width + column) * out + i % out;
          want += expected[static_cast<std::size_t>(at)] / static_cast<double>(step * step);
          const double variance =
              growth[static_cast<std::size_t>(row % m)] * growth[static_cast<std::size_t>(column % m)];
          limit = std::max(limit, 6 * std::sqrt(variance) * root * unit);
        }
        limit += (type == DataType::f32 ? 0x1p-22 : 0x1p-8) * std::fabs(want);
        REQUIRE(std::fabs(loaded(map_type, found, static_cast<std::size_t>(i)) - want) <= limit);
      }
    }
  });
}

TEST_CASE("Winograd's convolution in several full blocks gives the bits of one, in the memory that it asked for") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    kernels::KernelTable least = table;
    least.winograd_bytes = 1;  // 24 tiles a block
    support::Random random(37);
    const index_t in = 20;
    const index_t out = 10;
    const auto weights = random.normals(out * in * 9);
    const auto bias = random.normals(out);
    for (const DataType type : support::kProductTypes) {
      for (const index_t m : {2, 4}) {
        const MapSize size{1, 8 * m, 6 * m};  // 48 tiles
        const Winograd conv = make_winograd({&table, {1}}, weights.data(), out, in, bias, {type, m});
        const auto map = stored(conv.map_type(), random.normals(size.pixels() * in));
        const auto run = [&](const Context& context) {
          std::vector<unsigned char> found(static_cast<std::size_t>(size.pixels() * out) * size_of(conv.map_type()));
          const auto bytes = static_cast<std::size_t>(winograd_scratch_bytes(context, conv));
          std::vector<unsigned char> scratch(bytes + 4096, 0xa5);
          forward(context, conv, map.data(), size, false, found.data(), scratch.data());
          CHECK(std::count(scratch.begin() + static_cast<std::ptrdiff_t>(bytes), scratch.end(), 0xa5) == 4096);
          return found;
        };
        const auto expected = run({&table, {1}});
        CHECK(run({&least, {1}}) == expected);
        CHECK(run({&least, {2}}) == expected);
      }
    }
  });
}

TEST_CASE("the convolution on tiles is the convolution: random shapes, pooled or not, with weights large and small") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    if (!table.windows) return;
    support::Random random(35);
    for (int round = 0; round < 24; ++round) {
      const DataType type = round % 2 == 0 ? DataType::bf16 : DataType::i8;
      const bool pool = round % 4 >= 2;
      const bool large = round >= 22;  // weights of more than a MiB are divided by columns
      const index_t in = large ? 256 : 4 * random.whole(1, 40);
      const index_t out = large ? 512 : 2 * random.whole(1, 50);
      const MapSize size{random.whole(1, 3), random.whole(2, large ? 4 : 17), random.whole(2, large ? 4 : 17)};
      CAPTURE(in);
      CAPTURE(out);
      CAPTURE(size.pictures);
      CAPTURE(size.height);
      CAPTURE(size.width);
      const Context context{&table, {static_cast<int>(random.whole(1, 3))}};
      const auto weights = random.normals(out * in * 9);
      const auto bias = random.normals(out);
      const TileConv conv = make_tile_conv(context, weights.data(), out, in, bias, type);
      auto maps = support::rounded(DataType::bf16, random.normals(size.pixels() * in));
      const index_t pixels = size.height * size.width;
      // as after a ReLU; each picture twice as bright as the one before, one line eight times as the others
      for (std::size_t i = 0; i < maps.size(); ++i) {
        const index_t pixel = static_cast<index_t>(i) / in;
        const index_t line = pixel % pixels / size.width;
        const float bright = line == (round + pixel / pixels) % size.height ? 1.0f : 0.125f;
        maps[i] = std::fabs(maps[i]) * bright * static_cast<float>(1 << pixel / pixels);
      }
      const auto bytes = stored(DataType::bf16, maps);
      const MapSize out_size = pool ? size.half() : size;
      std::vector<unsigned char> found(static_cast<std::size_t>(out_size.pixels() * out) * 2);
      std::vector<unsigned char> scratch(static_cast<std::size_t>(tile_conv_scratch_bytes(conv, size, pool)), 0xff);
      forward(context, conv, bytes.data(), size, pool, found.data(), scratch.data());
      std::vector<double> expected(static_cast<std::size_t>(size.pixels() * out));
      for (index_t p = 0; p < size.pictures; ++p) {
        reference::convolution_3x3(maps.data() + p * pixels * in, size.height, size.width, in, weights.data(),
                                   bias.data(), out, expected.data() + p * pixels * out);
      }
      // 9 in products whose errors are as if random.  As bytes, maps of up to 5 deviations have 255 steps and a row of
      // weights 127 for 4.5 deviations; the error is anywhere within a step.
      const double unit = type == DataType::bf16 ? 0x1p-9 : std::hypot(5.0 / 255, 4.5 / 127) / std::sqrt(12.0);
      for (index_t i = 0; i < out_size.pixels() * out; ++i) {
        const index_t pixel = i / out;
        const index_t step = pool ? 2 : 1;
        const index_t p = pixel / (out_size.width * out_size.height);
        double want = 0.0;
        for (index_t k = 0; k < step * step; ++k) {
          const index_t y = pixel / out_size.width % out_size.height * step + k / step;
          const index_t x = pixel % out_size.width * step + k % step;
          const index_t at = ((p * size.height + y) * size.width + x) * out + i % out;
          want += expected[static_cast<std::size_t>(at)] / static_cast<double>(step * step);
        }
        const double limit = 6 * std::sqrt(9.0 * static_cast<double>(in)) * unit * static_cast<double>(1 << p) +
                             0x1p-8 * std::fabs(want);
        REQUIRE(std::fabs(loaded(DataType::bf16, found, static_cast<std::size_t>(i)) - want) <= limit);
      }
    }
  });
}

TEST_CASE("a convolution is one product on tiles in bytes, but for deep towers, and where it is narrow") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    support::Random random(36);
    const Context context{&table, {1}};
    const auto on_tiles = [&](DataType type, index_t channels, bool deep) {
      const auto weights = random.normals(channels * channels * 9);
      const auto conv = make_conv3x3(context, weights.data(), channels, channels,
                                     std::vector<float>(static_cast<std::size_t>(channels)), type, 14, deep);
      return std::holds_alternative<TileConv>(conv.algorithm);
    };
    CHECK(on_tiles(DataType::i8, 128, false) == table.windows);
    CHECK(on_tiles(DataType::i8, 64, true) == table.windows);
    CHECK(on_tiles(DataType::bf16, 64, false) == table.windows);
    CHECK(!on_tiles(DataType::i8, 128, true));
    CHECK(!on_tiles(DataType::bf16, 128, false));
    CHECK(!on_tiles(DataType::f32, 64, false));
  });
}

TEST_CASE("what Winograd's products compute in goes by the channels, the maps' size and the tower's depth") {
  const auto is = [](const WinogradKind& kind, DataType type, index_t m) { return kind.type == type && kind.m == m; };
  for (const DataType type : {DataType::f32, DataType::bf16}) {
    CHECK(is(winograd_kind(type, 512, 28, false), type, 4));
    CHECK(is(winograd_kind(type, 512, 27, false), type, 2));
  }
  for (const DataType type : {DataType::i8, DataType::i16}) {
    CHECK(is(winograd_kind(type, 128, 14, false), type, 4));
    CHECK(is(winograd_kind(type, 128, 13, false), type, 2));
    CHECK(is(winograd_kind(type, 127, 28, false), between(type), 4));
    CHECK(is(winograd_kind(type, 127, 27, false), between(type), 2));
    CHECK(is(winograd_kind(type, 128, 28, false), type, 4));
    CHECK(is(winograd_kind(type, 128, 28, true), between(type), 4));
    CHECK(is(winograd_kind(type, 128, 27, true), type, 2));
  }
}

TEST_CASE("a NaN in a map makes NaN of its picture's convolution on tiles, and of no other picture's") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    if (!table.windows) return;
    support::Random random(39);
    const Context context{&table, {1}};
    const index_t in = 8;
    const index_t out = 6;
    const MapSize size{3, 5, 4};
    const auto weights = random.normals(out * in * 9);
    for (const DataType type : {DataType::bf16, DataType::i8}) {
      const TileConv conv = make_tile_conv(context, weights.data(), out, in, random.normals(out), type);
      std::vector<float> maps(static_cast<std::size_t>(size.pixels() * in), 1.0f);
      const index_t pixel = 20 + 2 * 4 + 1;  // of the second picture
      maps[static_cast<std::size_t>(pixel * in + 3)] = NAN;
      const auto bytes = stored(DataType::bf16, maps);
      std::vector<unsigned char> found(static_cast<std::size_t>(size.pixels() * out) * 2);
      std::vector<unsigned char> scratch(static_cast<std::size_t>(tile_conv_scratch_bytes(conv, size, false)), 0xff);
      forward(context, conv, bytes.data(), size, false, found.data(), scratch.data());
      for (index_t i = 0; i < size.pixels() * out; ++i) {
        const double x = loaded(DataType::bf16, found, static_cast<std::size_t>(i));
        if (i / out == pixel) CHECK(std::isnan(x));
        if (i / out / 20 != 1) CHECK(std::isfinite(x));
      }
    }
  });
}

TEST_CASE("the strided convolution is the convolution at every second pixel, on every ISA and tiles") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    support::Random random(32);
    for (int round = 0; round < 6; ++round) {
      const index_t out = random.whole(1, 60);
      const MapSize size{1, random.whole(1, 80), random.whole(1, 18)};
      const MapSize half{1, (size.height + 1) / 2, (size.width + 1) / 2};
      const Context context{&table, {1 + round % 3}};
      const auto weights = random.normals(out * 27);
      const auto bias = random.normals(out);
      std::vector<float> last(weights.size());  // [out, 9, 3]
      for (index_t i = 0; i < out * 27; ++i) {
        last[static_cast<std::size_t>(i / 27 * 27 + i % 9 * 3 + i % 27 / 9)] = weights[static_cast<std::size_t>(i)];
      }
      const Conv2d conv{{kernels::PackedMatrix(context, {last.data(), nullptr, DataType::f32, out, 27}), bias}, 3, 3};
      const auto map = random.normals(size.pixels() * 3);
      std::vector<double> expected(static_cast<std::size_t>(size.pixels() * out));
      reference::convolution_3x3(map.data(), size.height, size.width, 3, weights.data(), bias.data(), out,
                                 expected.data());
      std::vector<float> found(static_cast<std::size_t>(half.pixels() * out));
      std::vector<unsigned char> scratch(static_cast<std::size_t>(conv_scratch_bytes(context, conv)));
      forward_strided(context, conv, map.data(), size, {found.data(), out, Activation::relu}, scratch.data());
      for (index_t i = 0; i < half.pixels() * out; ++i) {
        const index_t pixel = i / out;
        const index_t at = pixel / half.width * 2 * size.width + pixel % half.width * 2;
        // 28 roundings of at most the magnitudes' sum, which is below 28 x 4 x 4 for such numbers
        REQUIRE(std::fabs(double{found[static_cast<std::size_t>(i)]} -
                          expected[static_cast<std::size_t>(at * out + i % out)]) <= 28 * 0x1p-24 * 28 * 16);
      }
    }
  });
}

TEST_CASE("the attention pool's tokens are the mean of the positions and these, each with an embedding of its own") {
  support::Random random(40);
  const Context context{kernels::built_table(Isa::scalar), {1}};
  const index_t channels = 6;
  const index_t positions = 4;
  AttentionPool pool{random.normals((positions + 1) * channels), {}};
  pool.attention.query = random_linear(context, random, channels, channels, DataType::f32);
  const auto map = random.normals(positions * channels);
  std::vector<float> x(static_cast<std::size_t>((positions + 1) * channels));
  pool_tokens(pool, {map.data(), channels}, x.data());
  for (index_t c = 0; c < channels; ++c) {
    const auto column = static_cast<std::size_t>(c);
    double mean = 0.0;
    for (index_t p = 0; p < positions; ++p) {
      const auto i = static_cast<std::size_t>(p * channels + c);
      mean += double{map[i]} / positions;
      CHECK(x[i + channels] == map[i] + pool.positional_embedding[i + channels]);
    }
    // five roundings of numbers below 16
    CHECK(std::fabs(double{x[column]} - mean - double{pool.positional_embedding[column]}) <= 5 * 16 * 0x1p-24);
  }
}

TEST_CASE(
    "attention pooling is AttentionPool2d: keys and values of every position give the same, on every ISA and tiles") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    support::Random random(33);
    for (const DataType type : {DataType::f32, DataType::bf16}) {
      const Context context{&table, {2}};
      const index_t heads = 4;
      const index_t channels = 64;
      const index_t tokens = 10;
      const index_t pictures = 3;
      const index_t embed_dim = 20;
      std::vector<std::vector<float>> weight;
      std::vector<std::vector<float>> bias;
      for (int k = 0; k < 3; ++k) {
        weight.push_back(support::rounded(type, random.normals(channels * channels, k < 2 ? 0.2f : 0.125f)));
        bias.push_back(random.normals(channels));
      }
      AttentionPool pool{random.normals(tokens * channels), {}};
      support::pack_heads(context, pool.attention, heads, weight[1], weight[2], bias[2], type);
      pool.attention.query = {
          kernels::PackedMatrix(context, {weight[0].data(), nullptr, DataType::f32, channels, channels}, type),
          bias[0]};
      std::vector<float> identity(
          static_cast<std::size_t>(embed_dim * channels));  // shows the first values as they are
      for (index_t i = 0; i < embed_dim; ++i) identity[static_cast<std::size_t>(i * channels + i)] = 1.0f;
      pool.attention.out = {
          kernels::PackedMatrix(context, {identity.data(), nullptr, DataType::f32, embed_dim, channels}, type), {}};
      const auto maps = support::rounded(type, random.normals(pictures * (tokens - 1) * channels));
      const auto bytes = stored(type, maps);
      std::vector<float> found(static_cast<std::size_t>(pictures * embed_dim));
      Scratch scratch;
      scratch.reset(AttentionPoolScratch::bytes(context, pool, pictures));
      forward(context, pool, {bytes.data(), channels, type}, pictures, found.data(), scratch);
      for (index_t p = 0; p < pictures; ++p) {
        std::vector<float> x(static_cast<std::size_t>(tokens * channels));
        pool_tokens(pool, {maps.data() + p * (tokens - 1) * channels, channels}, x.data());
        const auto expected = reference::attention_of_token(x.data(), 0, tokens, channels, heads,
                                                            {weight[0].data(), weight[1].data(), weight[2].data()},
                                                            {bias[0].data(), bias[1].data(), bias[2].data()});
        for (index_t o = 0; o < embed_dim; ++o) {
          // values of about 2; rounded five times on the way to bf16, before and after sums that average the errors,
          // and scores of about 4 that are exponents
          const double limit = type == DataType::f32 ? 2e-5 : 0.15;
          REQUIRE(std::fabs(double{found[static_cast<std::size_t>(p * embed_dim + o)]} -
                            expected[static_cast<std::size_t>(o)]) <= limit);
        }
      }
    }
  });
}

TEST_CASE("a 1 x 1 convolution of more pixels than a block of rows has is the product of each") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    for (const DataType type : support::kProductTypes) {
      support::Random random(38);
      const Context context{&table, {2}};
      const index_t in = 512;
      const index_t out = 8;
      const Conv2d conv{random_linear(context, random, out, in, type), in, 1};
      const DataType map_type = rows_between(context, conv.linear.type());
      const MapSize size{1, 2 * kernels::block_rows(table, in, conv.linear.type()) + 3, 1};
      const auto map = support::rounded(map_type, random.normals(size.pixels() * in));
      const auto bytes = stored(map_type, map);
      const Operand pixels{bytes.data(), in, map_type};
      std::vector<float> found(static_cast<std::size_t>(size.pixels() * out));
      std::vector<unsigned char> scratch(static_cast<std::size_t>(conv_scratch_bytes(context, conv)), 0xff);
      forward(context, conv, pixels, size, {found.data(), out}, scratch.data());
      // the same pixels few at a time
      Scratch few;
      few.reset(operand_bytes(conv.linear.type(), 7, in));
      const OperandRows rows = take_operand(few, conv.linear.type(), 7, in);
      std::vector<float> expected(static_cast<std::size_t>(7 * out));
      for (index_t first = 0; first + 7 <= size.pixels(); first += 7) {
        const Operand part = as_operand(context, pixels.from_row(first), 7, in, conv.linear.type(), rows);
        forward(context, conv.linear, part, 7, {expected.data(), out});
        REQUIRE(std::equal(expected.begin(), expected.end(), found.begin() + first * out));
      }
    }
  });
}

// 3 x 3 convolution of stride 1 and padding 1 with ReLU on NHWC maps, by Winograd's transforms: 2.25 or 4 times fewer
// multiplications.  Layer 3; used by ModifiedResNet.  Lavin and Gray 2016, Fast algorithms for convolutional neural
// networks; the transforms of the maps are kernels/micro/winograd.hpp's, those of the weights are here.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "clipon/nn/linear.hpp"
#include "clipon/nn/map.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Winograd {
  index_t m = 4;                                 // outputs of a tile, each way: 2 or 4
  std::vector<kernels::PackedMatrix> positions;  // (m + 2)^2 of [out, in]: the elements of G g G^T
  std::vector<float> bias;                       // [out]

  [[nodiscard]] index_t inputs() const { return positions.front().columns(); }
  [[nodiscard]] index_t outputs() const { return positions.front().rows(); }
  [[nodiscard]] DataType type() const { return positions.front().type(); }  // f32 or bf16, as the maps
};

/// Outputs of a tile, each way, for maps of `side` pixels.  4 saves more, but has 36 matrices of weights for 16, and on
/// the small maps of the last stages reading them takes as long as the products.
constexpr index_t winograd_tile(index_t side) {
  return side >= 28 ? 4 : 2;
}

// G for the points of kernels/micro/winograd.hpp.
inline std::vector<std::array<double, 3>> winograd_weight_transform(index_t m) {
  if (m == 2) return {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  return {{1.0 / 4, 0, 0},
          {-1.0 / 6, -1.0 / 6, -1.0 / 6},
          {-1.0 / 6, 1.0 / 6, -1.0 / 6},
          {1.0 / 24, 1.0 / 12, 1.0 / 6},
          {1.0 / 24, -1.0 / 12, 1.0 / 6},
          {0, 0, 1}};
}

/// weights [out, in, 3, 3], transformed in double, then rounded to `type`.
inline Winograd make_winograd(const Context& context, const float* weights, index_t out, index_t in,
                              std::vector<float> bias, index_t m, DataType type) {
  Winograd conv{m, {}, std::move(bias)};
  const auto g = winograd_weight_transform(m);
  AlignedBuffer<float> planes(static_cast<std::size_t>(9 * out * in));  // [9, out, in]
  for (index_t i = 0; i < 9 * out * in; ++i) planes.data()[i % 9 * out * in + i / 9] = weights[i];
  AlignedBuffer<float> matrix(static_cast<std::size_t>(out * in));  // of one position
  for (const auto& rows : g) {
    for (const auto& columns : g) {
      parallel::parallel_for(context.threads, out, [&](index_t o) {
        std::vector<double> sum(static_cast<std::size_t>(in));
        for (std::size_t k = 0; k < 9; ++k) {
          const double factor = rows[k / 3] * columns[k % 3];
          const float* plane = planes.data() + (static_cast<index_t>(k) * out + o) * in;
          for (index_t i = 0; i < in; ++i) sum[static_cast<std::size_t>(i)] += factor * double{plane[i]};
        }
        for (index_t i = 0; i < in; ++i)
          matrix.data()[o * in + i] = static_cast<float>(sum[static_cast<std::size_t>(i)]);
      });
      conv.positions.emplace_back(context, kernels::StoredMatrix{matrix.data(), nullptr, DataType::f32, out, in}, type);
    }
  }
  return conv;
}

// The matrices of one block of tiles: before the products and after them.
struct WinogradBlock {
  kernels::WinogradTiles in;
  kernels::WinogradTiles out;
  index_t in_bytes = 0;
  index_t out_bytes = 0;
};

inline WinogradBlock winograd_block(const Winograd& conv, MapSize size, index_t first, index_t count) {
  // An odd number of cache lines from position to position, else all positions of a tile fall into one set of L1.
  const auto stride = [&](index_t channels) { return (count * channels + 31) / 32 * 32 + 32; };
  const index_t positions = (conv.m + 2) * (conv.m + 2);
  WinogradBlock block;
  block.in = {conv.type(), conv.m, size.height, size.width, conv.inputs(), first, count, stride(conv.inputs())};
  block.out = block.in;
  block.out.channels = conv.outputs();
  block.out.position_stride = stride(conv.outputs());
  block.in_bytes = Scratch::size_for<unsigned char>(positions * block.in.position_stride *
                                                    static_cast<index_t>(size_of(conv.type())));
  block.out_bytes = Scratch::size_for<float>(positions * block.out.position_stride);
  return block;
}

// Tiles of a block: what is between the transforms should stay in L2, but with fewer rows than this a product waits for
// its weights.
inline index_t winograd_block_tiles(const Context& context, const Winograd& conv) {
  constexpr index_t least = 24;
  const index_t positions = (conv.m + 2) * (conv.m + 2);
  const index_t bytes = positions * (conv.inputs() * static_cast<index_t>(size_of(conv.type())) + conv.outputs() * 4);
  return std::max(context.kernels->block_bytes / bytes, least);
}

inline index_t winograd_scratch_bytes(const Context& context, const Winograd& conv) {
  const WinogradBlock block = winograd_block(conv, {}, 0, winograd_block_tiles(context, conv));
  return context.threads.count * (block.in_bytes + block.out_bytes);
}

/// in [size, inputs] -> relu(convolution + bias) [size, outputs], or with `pool` 2 x 2 averages of that, [size / 2,
/// outputs]; both of conv.type().  scratch: winograd_scratch_bytes().
inline void forward(const Context& context, const Winograd& conv, const void* in, MapSize size, bool pool, void* out,
                    unsigned char* scratch) {
  const index_t tiles = size.pictures * ((size.height + conv.m - 1) / conv.m) * ((size.width + conv.m - 1) / conv.m);
  const index_t most = winograd_block_tiles(context, conv);
  const index_t threads = context.threads.count;
  const index_t blocks = std::min(((tiles + most - 1) / most + threads - 1) / threads * threads, tiles);
  const index_t teams = std::min(threads, blocks);
  const index_t bytes_a_team = winograd_scratch_bytes(context, conv) / threads;
  const Context alone = context.alone();
  parallel::parallel_for(context.threads, teams, [&](index_t team) {
    for (index_t b = team; b < blocks; b += teams) {
      const index_t first = b * tiles / blocks;
      const WinogradBlock block = winograd_block(conv, size, first, (b + 1) * tiles / blocks - first);
      const auto positions = static_cast<double>(block.in.count * static_cast<index_t>(conv.positions.size()));
      auto* rows = scratch + team * bytes_a_team;
      auto* sums = reinterpret_cast<float*>(rows + block.in_bytes);
      {
        const auto span = alone.timed({"winograd_input", conv.type(), conv.inputs(), 0, 0, positions});
        context.kernels->winograd_input(block.in, in, rows);
      }
      Operand a{rows, conv.inputs(), conv.type(), nullptr};
      kernels::Epilogue product;
      product.out = sums;
      product.out_stride = conv.outputs();
      for (std::size_t p = 0; p < conv.positions.size(); ++p) {
        const kernels::PackedMatrix* next = p + 1 < conv.positions.size() ? &conv.positions[p + 1] : nullptr;
        kernels::gemm(alone, a, block.in.count, conv.positions[p], product, next);
        a.data = static_cast<const unsigned char*>(a.data) +
                 block.in.position_stride * static_cast<index_t>(size_of(conv.type()));
        product.out += block.out.position_stride;
      }
      const auto span = alone.timed({"winograd_output", conv.type(), conv.outputs(), 0, 0, positions});
      context.kernels->winograd_output(block.out, sums, conv.bias.data(), pool, out);
    }
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

// 3 x 3 convolution of stride 1 and padding 1 with ReLU on NHWC maps, by Winograd's transforms: 2.25 or 4 times fewer
// multiplications.  Layer 3; used by nn/conv3x3.hpp.  Lavin and Gray 2016, Fast algorithms for convolutional neural
// networks; the transforms of the maps are kernels/micro/winograd.hpp's, those of the weights are here.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/nn/map.hpp"
#include "clipon/nn/operand.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Winograd {
  index_t m = 4;                                 // outputs of a tile, each way: 2 or 4
  DataType maps = DataType::f32;                 // f32 or bf16: the type of what it reads and writes
  std::vector<kernels::PackedMatrix> positions;  // (m + 2)^2 of [out, in]: the elements of G g G^T
  std::vector<float> bias;                       // [out]

  [[nodiscard]] index_t position_count() const { return static_cast<index_t>(positions.size()); }
  [[nodiscard]] index_t inputs() const { return positions.front().columns(); }
  [[nodiscard]] index_t outputs() const { return positions.front().rows(); }
  [[nodiscard]] DataType type() const { return positions.front().type(); }  // of the products
  [[nodiscard]] DataType map_type() const { return maps; }
};

/// Channels from which products of bytes are worth their scales: 64 took as long in bytes as in bf16, 32 longer.
constexpr index_t kNarrow = 128;

/// What the products of a convolution compute in, and the outputs of a tile, each way.
struct WinogradKind {
  DataType type = DataType::f32;
  index_t m = 4;
};

/// Of `channels` inputs and maps of `side` pixels in a tower of `type`.  Bytes where a row has enough channels: a scale
/// a row and position costs as much for 32 channels as for 512, and short sums wait for their epilogue.
///
/// 4 outputs save more, but have 36 matrices of weights for 16: on the small maps of the last stages reading them takes
/// as long as the products, in bytes later than in wider types.  And they let rounding grow: 4 of bytes have three to
/// four times the error of 2 of bytes or 4 of bf16 (docs/precision.md).  So in a `deep` tower, where errors add up,
/// large maps are bf16, and bytes have 2 outputs.
constexpr WinogradKind winograd_kind(DataType type, index_t channels, index_t side, bool deep) {
  const bool large = side >= 28;
  if (!is_integer(type) || channels < kNarrow || (deep && large)) return {between(type), large ? 4 : 2};
  return {type, side >= 14 && !deep ? 4 : 2};
}

// G: for each of the points of kernels/micro/winograd.hpp its powers, over the product of its distances from the
// others.
inline std::vector<std::array<double, 3>> winograd_weight_transform(index_t m) {
  const double a = double{kernels::kWinogradNear};
  const double b = double{kernels::kWinogradFar};
  const std::vector<double> points = m == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, a, -a, b, -b};
  std::vector<std::array<double, 3>> g;
  for (const double p : points) {
    double distances = 1.0;
    for (const double q : points) distances *= q == p ? 1.0 : p - q;
    g.push_back({1.0 / distances, p / distances, p * p / distances});
  }
  g.push_back({0, 0, 1});  // of infinity
  return g;
}

/// weights [out, in, 3, 3], transformed in double, then rounded to kind.type.
inline Winograd make_winograd(const Context& context, const float* weights, index_t out, index_t in,
                              std::vector<float> bias, WinogradKind kind) {
  Winograd conv{kind.m, rows_between(context, kind.type), {}, std::move(bias)};
  const auto g = winograd_weight_transform(kind.m);
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
      conv.positions.emplace_back(context, kernels::StoredMatrix{matrix.data(), nullptr, DataType::f32, out, in},
                                  kind.type);
    }
  }
  return conv;
}

// The matrices of one block of tiles in a thread's scratch: rows before the products, their scales, sums after them.
struct WinogradBlock {
  kernels::WinogradTiles tiles;
  kernels::WinogradRows rows;
  float* sums = nullptr;  // [positions][count, outputs], sum_stride from position to position
  index_t sum_stride = 0;
  index_t bytes = 0;
};

inline WinogradBlock winograd_block(const Winograd& conv, MapSize size, index_t first, index_t count,
                                    unsigned char* scratch) {
  // An odd number of cache lines from position to position, else all positions of a tile fall into one set of L1.
  const auto stride_of = [&](index_t elements, DataType type) {
    constexpr auto line = static_cast<index_t>(kAlignment);
    const auto element = static_cast<index_t>(size_of(type));
    return (round_up(count * elements * element, kAlignment) / line | 1) * line / element;
  };
  const index_t positions = conv.position_count();
  WinogradBlock block;
  block.tiles = {conv.map_type(), conv.m, size.height, size.width, conv.inputs(), first, count};
  block.rows.rows = {nullptr, kernels::padded_depth(conv.type(), conv.inputs()), conv.type(), nullptr};
  block.rows.position_stride = stride_of(block.rows.rows.stride, conv.type());
  block.sum_stride = stride_of(conv.outputs(), DataType::f32);
  ScratchPart part(scratch);
  const auto element = static_cast<index_t>(size_of(conv.type()));
  block.rows.rows.data = part.take<unsigned char>(positions * block.rows.position_stride * element);
  block.sums = part.take<float>(positions * block.sum_stride);
  block.rows.border = part.take<unsigned char>(conv.inputs() * static_cast<index_t>(size_of(conv.map_type())));
  if (is_integer(conv.type())) {
    block.rows.rows.scales = part.take<kernels::RowScale>(positions * count);
    block.rows.scratch = part.take<float>(positions * conv.inputs());
  }
  block.bytes = part.bytes();
  return block;
}

// How many tiles make a block: as many as fit winograd_bytes between the two transforms, but at least `least`, below
// which a product only waits for its weights.
inline index_t winograd_block_tiles(const Context& context, const Winograd& conv) {
  constexpr index_t least = 24;
  const index_t positions = conv.position_count();
  const index_t bytes = positions * (conv.inputs() * static_cast<index_t>(size_of(conv.type())) + conv.outputs() * 4);
  return std::max(context.kernels->winograd_bytes / bytes, least);
}

inline index_t winograd_scratch_bytes(const Context& context, const Winograd& conv) {
  return context.threads.count * winograd_block(conv, {}, 0, winograd_block_tiles(context, conv), nullptr).bytes;
}

/// in [size, inputs] -> relu(convolution + bias) [size, outputs], or with `pool` 2 x 2 averages of that, [size / 2,
/// outputs]; both of conv.map_type().  scratch: winograd_scratch_bytes().
inline void forward(const Context& context, const Winograd& conv, const void* in, MapSize size, bool pool, void* out,
                    unsigned char* scratch) {
  const index_t tiles = size.pictures * ((size.height + conv.m - 1) / conv.m) * ((size.width + conv.m - 1) / conv.m);
  const index_t most = winograd_block_tiles(context, conv);
  const index_t threads = context.threads.count;
  const index_t blocks = std::min(((tiles + most - 1) / most + threads - 1) / threads * threads, tiles);
  const index_t bytes_a_thread = winograd_scratch_bytes(context, conv) / threads;
  const Context alone = context.alone();
  parallel::parallel_for_on_threads(context.threads, blocks, [&](index_t b, index_t thread) {
    const index_t first = b * tiles / blocks;
    const WinogradBlock block =
        winograd_block(conv, size, first, (b + 1) * tiles / blocks - first, scratch + thread * bytes_a_thread);
    const index_t count = block.tiles.count;
    const auto rows_made = static_cast<double>(count * conv.position_count());
    {
      const auto span = alone.timed({"winograd_input", conv.type(), conv.inputs(), 0, 0, rows_made});
      context.kernels->winograd_input(block.tiles, in, block.rows);
    }
    OperandRows a = block.rows.rows;
    kernels::Epilogue product = kernels::store_to(block.sums, conv.outputs(), DataType::f32);
    for (std::size_t p = 0; p < conv.positions.size(); ++p) {
      const kernels::PackedMatrix* next = p + 1 < conv.positions.size() ? &conv.positions[p + 1] : nullptr;
      kernels::gemm(alone, a.read(), count, conv.positions[p], product, next);
      a = a.from(0, block.rows.position_stride);
      if (a.scales != nullptr) a.scales += count;
      product.out += block.sum_stride;
    }
    const auto span = alone.timed({"winograd_output", conv.map_type(), conv.outputs(), 0, 0, rows_made});
    kernels::WinogradTiles outputs = block.tiles;
    outputs.channels = conv.outputs();
    context.kernels->winograd_output(outputs, block.sums, block.sum_stride, conv.bias.data(), pool, out);
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

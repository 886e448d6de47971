// 3 x 3 convolution of stride 1 and padding 1 with ReLU on NHWC maps, by the algorithm that suits the CPU: Winograd's
// transforms, or one product on tiles.  Layer 3; used by ModifiedResNet.
#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "clipon/nn/tile_conv.hpp"
#include "clipon/nn/winograd.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct Conv3x3 {
  std::variant<Winograd, TileConv> algorithm;

  [[nodiscard]] DataType map_type() const {
    return std::visit([](const auto& conv) { return conv.map_type(); }, algorithm);
  }
};

/// Whether one product on tiles is the better way for `channels` inputs.  In bytes it is, but in a `deep` tower, where
/// a scale a picture costs more accuracy than Winograd's scale a tile (docs/precision.md).  In bf16 it is for narrow
/// convolutions, whose transforms and epilogues take as long as nine times the products; of 128 channels and more it
/// was 0.9 times as fast where two threads share a core's tiles.
constexpr bool suits_tiles(DataType type, index_t channels, bool deep) {
  return type == DataType::i8 ? !deep : type == DataType::bf16 && channels < kNarrow;
}

/// weights [out, in, 3, 3] for maps of `side` pixels in a tower of `type`; deep: see winograd_kind.
inline Conv3x3 make_conv3x3(const Context& context, const float* weights, index_t out, index_t in,
                            std::vector<float> bias, DataType type, index_t side, bool deep) {
  const WinogradKind kind = winograd_kind(type, in, side, deep);
  if (context.kernels->windows && suits_tiles(kind.type, in, deep)) {
    return {make_tile_conv(context, weights, out, in, std::move(bias), kind.type)};
  }
  return {make_winograd(context, weights, out, in, std::move(bias), kind)};
}

inline index_t conv3x3_scratch_bytes(const Context& context, const Conv3x3& conv, MapSize size, bool pool) {
  if (const auto* tiles = std::get_if<TileConv>(&conv.algorithm)) return tile_conv_scratch_bytes(*tiles, size, pool);
  return winograd_scratch_bytes(context, std::get<Winograd>(conv.algorithm));
}

/// in [size, inputs], not negative -> relu(convolution + bias) [size, outputs], or with `pool` 2 x 2 averages of that,
/// [size / 2, outputs]; both of conv.map_type().  scratch: conv3x3_scratch_bytes().
inline void forward(const Context& context, const Conv3x3& conv, const void* in, MapSize size, bool pool, void* out,
                    unsigned char* scratch) {
  std::visit([&](const auto& of_kind) { forward(context, of_kind, in, size, pool, out, scratch); }, conv.algorithm);
}

}  // namespace clipon::inline CLIPON_ABI::nn

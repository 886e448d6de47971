// 3 x 3 convolution of stride 1 and padding 1 with ReLU on NHWC maps, as one product on tiles (AMX): bf16, and int8
// with a scale a picture.  Layer 3; used by nn/conv3x3.hpp where the kernels take windows.  torch.nn.Conv2d with the
// BatchNorm that follows it folded in by the converter.
//
// No rows are gathered: a tile is loaded by rows that lie a stride apart and may overlap, so windows are read where the
// map lies.  Tiles multiply 8 times as fast as vectors, and what Winograd's transforms save in products they cost in
// loads, stores and epilogues, which are no faster than anywhere else.
//
// A map is copied, with zeros around it: lines of width + 1 pixels, of which the last is zero and stands at the right
// of its own and at the left of the next line; a line of zeros between pictures, above the first and below the last.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "clipon/nn/average_pool.hpp"
#include "clipon/nn/operand.hpp"

namespace clipon::inline CLIPON_ABI::nn {

constexpr index_t kTileRow = static_cast<index_t>(kAlignment);  // bytes

struct TileConv {
  kernels::PackedMatrix weight;  // [out, 3 parts of (3, in)]: a line of the kernel each, zeros to a whole tile
  std::vector<float> bias;       // [out]
  index_t in_channels = 0;       // a multiple of 4

  [[nodiscard]] index_t outputs() const { return weight.rows(); }
  [[nodiscard]] DataType type() const { return weight.type(); }  // of the product
  [[nodiscard]] static DataType map_type() { return DataType::bf16; }
};

// Elements of a part of a window: whole rows of a tile.
inline index_t window_part(DataType type, index_t channels) {
  return round_up(3 * channels, kAlignment / size_of(type));
}

/// weights [out, in, 3, 3]; type: bf16 or i8.
inline TileConv make_tile_conv(const Context& context, const float* weights, index_t out, index_t in,
                               std::vector<float> bias, DataType type) {
  const index_t part = window_part(type, in);
  AlignedBuffer<float> parts(static_cast<std::size_t>(out * 3 * part), Pages::huge);
  parallel::parallel_for(context.threads, out, [&](index_t o) {
    channels_last(weights + o * in * 9, in, 3, part, parts.data() + o * 3 * part);
  });
  return {kernels::PackedMatrix(context, {parts.data(), nullptr, DataType::f32, out, 3 * part}, type), std::move(bias),
          in};
}

// The padded maps in scratch, and where the convolution's output goes before pooling.
struct PaddedMaps {
  MapSize size;
  unsigned char* pixels = nullptr;      // [1 + lines * (width + 1), in] of the product's type, and a tile's row more
  kernels::RowScale* scales = nullptr;  // i8: [windows]
  std::uint16_t* unpooled = nullptr;    // bf16 [size, out]
  index_t bytes = 0;

  [[nodiscard]] index_t across() const { return size.width + 1; }
  [[nodiscard]] index_t lines() const { return size.pictures * (size.height + 1) + 1; }
  /// Up to the last that is an output.
  [[nodiscard]] index_t windows() const { return (lines() - 2) * across() - 1; }
  /// The window of the first pixel of a picture's line.
  [[nodiscard]] index_t window(index_t picture, index_t y) const {
    return (picture * (size.height + 1) + y) * across();
  }
};

inline PaddedMaps padded_maps(const TileConv& conv, MapSize size, bool pool, unsigned char* scratch) {
  PaddedMaps maps{size};
  ScratchPart part(scratch);
  const index_t pixel = conv.in_channels * static_cast<index_t>(size_of(conv.type()));
  maps.pixels = part.take<unsigned char>((1 + maps.lines() * maps.across()) * pixel + kTileRow);
  if (conv.type() == DataType::i8) maps.scales = part.take<kernels::RowScale>(maps.windows());
  if (pool) maps.unpooled = part.take<std::uint16_t>(size.pixels() * conv.outputs());
  maps.bytes = part.bytes();
  return maps;
}

inline index_t tile_conv_scratch_bytes(const TileConv& conv, MapSize size, bool pool) {
  return padded_maps(conv, size, pool, nullptr).bytes;
}

// One scale for all of a picture, which its windows share; NaN where a line has one.
inline void find_scales(const Context& context, const TileConv& conv, const std::uint16_t* in, const PaddedMaps& maps) {
  const MapSize size = maps.size;
  const index_t n = size.width * conv.in_channels;
  parallel::parallel_for(context.threads, size.pictures * size.height, [&](index_t line) {
    maps.scales[maps.window(line / size.height, line % size.height)] =
        context.kernels->scale_of_row({in + line * n, n, DataType::bf16}, n);
  });
  for (index_t p = 0; p < size.pictures; ++p) {
    float greatest = 0.0f;
    for (index_t y = 0; y < size.height; ++y) {
      const float scale = maps.scales[maps.window(p, y)].scale;
      if (is_nan(scale) || scale > greatest) greatest = scale;
    }
    const index_t first = maps.window(p, 0);
    std::fill_n(maps.scales + first, std::min((size.height + 1) * maps.across(), maps.windows() - first),
                kernels::RowScale{greatest, 0.0f});
  }
}

// The lines of the maps, in the product's type, with zeros around them.
inline void pad_lines(const Context& context, const TileConv& conv, const std::uint16_t* in, const PaddedMaps& maps) {
  const MapSize size = maps.size;
  const index_t n = size.width * conv.in_channels;
  const auto element = static_cast<index_t>(size_of(conv.type()));
  const index_t pixel = conv.in_channels * element;
  const auto clear = [](unsigned char* from, index_t bytes) { std::memset(from, 0, static_cast<std::size_t>(bytes)); };
  parallel::parallel_for(context.threads, size.pictures * size.height, [&](index_t line) {
    const index_t p = line / size.height;
    const index_t y = line % size.height;
    const index_t window = maps.window(p, y);
    unsigned char* out = maps.pixels + (window + maps.across() + 1) * pixel;
    if (conv.type() == DataType::i8) {
      context.kernels->row_to_bytes({in + line * n, n, DataType::bf16}, n, maps.scales[window], out);
    } else {
      std::memcpy(out, in + line * n, static_cast<std::size_t>(n * element));
    }
    clear(out + n * element, pixel);  // the border, and what row_to_bytes has padded beyond the line
    if (y == 0) clear(maps.pixels + (window + 1) * pixel, maps.across() * pixel);
    if (line == 0) clear(maps.pixels, pixel);
    if (line + 1 == size.pictures * size.height) clear(out + maps.across() * pixel, maps.across() * pixel + kTileRow);
  });
}

// relu(windows W^T + bias) -> out [size, outputs] in bf16.
inline void multiply_windows(const Context& context, const TileConv& conv, const PaddedMaps& maps, void* out) {
  constexpr index_t large = 1 << 20;  // bytes of weights that don't stay in L2 beside a share of the maps
  constexpr index_t least = 128;      // windows that are worth reading the weights once more
  const kernels::PackedMatrix& w = conv.weight;
  const index_t most = 4 * context.threads.count;
  kernels::Pieces pieces;
  if (static_cast<index_t>(w.bytes()) > large) {
    pieces.parts = std::min(w.panels(), most);
  } else {
    pieces.blocks = std::clamp<index_t>(maps.windows() / least, 1, most);
  }
  kernels::Epilogue epilogue = kernels::store_to(out, conv.outputs(), DataType::bf16);
  epilogue.bias = conv.bias.data();
  epilogue.activation = kernels::Activation::relu;
  const Operand windows{maps.pixels, conv.in_channels, conv.type(), maps.scales};
  const auto place = [&](kernels::GemmBlock& block, index_t row, index_t column) {
    block.a = windows.from_row(row);
    block.windows = {maps.across() * conv.in_channels, maps.size.height, maps.size.width, row};
    block.epilogue = epilogue.from(0, column);
  };
  kernels::multiply(context, maps.windows(), w, pieces, place);
}

/// in [size, inputs], not negative -> relu(convolution + bias) [size, outputs], or with `pool` 2 x 2 averages of that,
/// [size / 2, outputs]; bf16.  scratch: tile_conv_scratch_bytes().
inline void forward(const Context& context, const TileConv& conv, const void* in, MapSize size, bool pool, void* out,
                    unsigned char* scratch) {
  const PaddedMaps maps = padded_maps(conv, size, pool, scratch);
  const auto* pixels = static_cast<const std::uint16_t*>(in);
  const auto rows = static_cast<double>(size.pixels());
  {
    const auto span = context.timed({"pad", conv.type(), conv.in_channels, 0, 0, rows});
    if (conv.type() == DataType::i8) find_scales(context, conv, pixels, maps);
    pad_lines(context, conv, pixels, maps);
  }
  {
    const double operations = 18.0 * rows * static_cast<double>(conv.in_channels * conv.outputs());
    const auto span =
        context.timed({"conv3x3", conv.type(), conv.outputs(), 9 * conv.in_channels, 0, rows, operations});
    multiply_windows(context, conv, maps, pool ? maps.unpooled : out);
  }
  if (pool) average_pool(context, maps.unpooled, DataType::bf16, size, conv.outputs(), out);
}

}  // namespace clipon::inline CLIPON_ABI::nn

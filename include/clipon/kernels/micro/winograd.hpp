// Winograd's convolution: the transforms before and after its products.  Called by nn/winograd.hpp through the table.
// Per ISA.
//
// Lavin and Gray 2016, Fast algorithms for convolutional neural networks, 3 and 4.1: a 3 x 3 convolution (padding 1) of
// m x m outputs from n x n inputs, n = m + 2, is A^T [(G g G^T) * (B^T d B)] A, summed over the channels between the
// brackets: n^2 matrix products of (tiles) x (channels in) x (channels out) instead of 9 m^2 multiplications a tile.
//   m = 2: 16 for 36, the points 0, 1, -1
//   m = 4: 36 for 144, the points 0, a, -a, b, -b, chosen so that rounding grows little (kernels/types.hpp)
// kernels/reference.hpp has the matrices.
#pragma once

#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/micro/quantise.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// B^T d of one row or column.
template <class Arch, class Batch>
CLIPON_ALWAYS_INLINE void winograd_input_row(const Batch (&d)[4], Batch (&out)[4]) {
  out[0] = d[2] - d[0];
  out[1] = d[1] + d[2];
  out[2] = d[2] - d[1];
  out[3] = d[3] - d[1];
}

template <class Arch, class Batch>
CLIPON_ALWAYS_INLINE void winograd_input_row(const Batch (&d)[6], Batch (&out)[6]) {
  using V = simd::F32<Arch>;
  constexpr float a = kWinogradNear;
  constexpr float b = kWinogradFar;
  const auto minus_aa = V::set(-a * a);
  const auto minus_bb = V::set(-b * b);
  const auto minus_both = V::set(-(a * a + b * b));
  const auto aabb = V::set(a * a * b * b);
  const Batch even_a = V::fma(minus_bb, d[2], d[4]);
  const Batch odd_a = V::fma(minus_bb, d[1], d[3]);
  const Batch even_b = V::fma(minus_aa, d[2], d[4]);
  const Batch odd_b = V::fma(minus_aa, d[1], d[3]);
  out[0] = V::fma(aabb, d[0], V::fma(minus_both, d[2], d[4]));
  out[1] = V::fma(V::set(a), odd_a, even_a);
  out[2] = V::fma(V::set(-a), odd_a, even_a);
  out[3] = V::fma(V::set(b), odd_b, even_b);
  out[4] = V::fma(V::set(-b), odd_b, even_b);
  out[5] = V::fma(aabb, d[1], V::fma(minus_both, d[3], d[5]));
}

// A^T s of one row or column.
template <class Arch, class Batch>
CLIPON_ALWAYS_INLINE void winograd_output_row(const Batch (&s)[4], Batch (&out)[2]) {
  out[0] = s[0] + s[1] + s[2];
  out[1] = s[1] - s[2] + s[3];
}

template <class Arch, class Batch>
CLIPON_ALWAYS_INLINE void winograd_output_row(const Batch (&s)[6], Batch (&out)[4]) {
  using V = simd::F32<Arch>;
  constexpr float a = kWinogradNear;
  constexpr float b = kWinogradFar;
  const Batch sum_a = s[1] + s[2];
  const Batch difference_a = s[1] - s[2];
  const Batch sum_b = s[3] + s[4];
  const Batch difference_b = s[3] - s[4];
  out[0] = s[0] + sum_a + sum_b;
  out[1] = V::fma(V::set(b), difference_b, V::set(a) * difference_a);
  out[2] = V::fma(V::set(b * b), sum_b, V::set(a * a) * sum_a);
  out[3] = V::fma(V::set(b * b * b), difference_b, V::fma(V::set(a * a * a), difference_a, s[5]));
}

// Where a tile lies: its map, and the row and column of its first output.
struct TilePlace {
  index_t map = 0;
  index_t y = 0;
  index_t x = 0;
};

template <class Arch>
CLIPON_ALWAYS_INLINE TilePlace place_of(const WinogradTiles& tiles, index_t tile) {
  const index_t across = (tiles.width + tiles.m - 1) / tiles.m;
  const index_t down = (tiles.height + tiles.m - 1) / tiles.m;
  return {tile / (across * down), tile / across % down * tiles.m, tile % across * tiles.m};
}

// One register of channels of one tile; at(i, j) is element (i, j) of the n x n inputs, store(i, j, x) takes B^T d B.
template <class Arch, int n, class At, class Store>
CLIPON_ALWAYS_INLINE void transform_input(const At& at, const Store& store) {
  using Batch = typename simd::F32<Arch>::Batch;
  Batch half[n][n];  // B^T d, by columns
#pragma GCC unroll 6
  for (int j = 0; j < n; ++j) {
    Batch d[n];
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) d[i] = at(i, j);
    winograd_input_row<Arch>(d, half[j]);
  }
#pragma GCC unroll 6
  for (int i = 0; i < n; ++i) {
    Batch d[n];
    Batch out[n];
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) d[j] = half[j][i];
    winograd_input_row<Arch>(d, out);
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) store(i, j, out[j]);
  }
}

// Where the transformed tiles go: rows of the maps' type.
template <class Arch, class T>
struct ElementRows {
  OperandRows rows;
  index_t position_stride;
  CLIPON_ALWAYS_INLINE T* at(index_t tile, int position) const {
    return static_cast<T*>(rows.data) + position * position_stride + tile * rows.stride;
  }
  CLIPON_ALWAYS_INLINE void end_tile(index_t) const {}
};

// Or integers with a scale for each tile and position: floats first, until all channels of a tile are there.
template <class Arch, int positions>
struct IntegerRows {
  OperandRows rows;
  index_t position_stride;
  index_t count;
  index_t channels;
  float* wide;  // [positions, channels]
  CLIPON_ALWAYS_INLINE RowOf<Arch, float> values(int position) const { return {wide + position * channels}; }
  CLIPON_ALWAYS_INLINE float* at(index_t, int position) const { return wide + position * channels; }
  CLIPON_ALWAYS_INLINE void end_tile(index_t tile) const {
    RowScale* scales = rows.scales + tile;  // of each position, `count` apart
    // All scales first: each is a chain of divisions, which so run side by side.
    for (int p = 0; p < positions; ++p) scales[p * count] = scale_of<Arch>(values(p), channels);
    for (int p = 0; p < positions; ++p) {
      void* to = rows.from(tile, p * position_stride).data;
      RowScale& scale = scales[p * count];
      if (rows.type == DataType::i8) {
        store_bytes<Arch>(values(p), channels, scale, static_cast<std::uint8_t*>(to));
      } else {
        scale.self_product = store_words<Arch>(values(p), channels, scale, static_cast<std::int16_t*>(to));
      }
    }
  }
};

template <class Arch, class T, int m, class Rows>
inline void winograd_input_tiles(const WinogradTiles& tiles, const T* maps, T* border, const Rows& rows) {
  using V = simd::F32<Arch>;
  constexpr int n = m + 2;
  const index_t channels = tiles.channels;
  for (index_t c = 0; c < channels; ++c) border[c] = T{0};
  for (index_t t = 0; t < tiles.count; ++t) {
    const TilePlace place = place_of<Arch>(tiles, tiles.first + t);
    const index_t top = place.y - 1;
    const index_t left = place.x - 1;
    const index_t first_line = place.map * tiles.height + top;
    const T* pixels[n][n];  // border outside the map: one transform for all tiles
    for (int i = 0; i < n; ++i) {
      const bool row = top + i >= 0 && top + i < tiles.height;
      for (int j = 0; j < n; ++j) {
        const bool exists = row && left + j >= 0 && left + j < tiles.width;
        pixels[i][j] = exists ? maps + ((first_line + i) * tiles.width + left + j) * channels : border;
      }
    }
    for_each_register<Arch>(channels, [&](index_t c, const auto& lanes) {
      transform_input<Arch, n>([&](int i, int j) { return lanes.load(pixels[i][j] + c); },
                               [&](int i, int j, typename V::Batch x) { lanes.store(rows.at(t, i * n + j) + c, x); });
    });
    rows.end_tile(t);
  }
}

// One register of channels of one tile: at(i, j) is sum (i, j), store(y, x, value) takes relu(A^T s A + bias), or with
// `pool` the mean of 2 x 2 of these, y and x counting such blocks.
template <class Arch, int m, class At, class Store>
CLIPON_ALWAYS_INLINE void transform_output(const At& at, typename simd::F32<Arch>::Batch bias, bool pool,
                                           const Store& store) {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  constexpr int n = m + 2;
  Batch half[n][m];  // A^T s, by columns
#pragma GCC unroll 6
  for (int j = 0; j < n; ++j) {
    Batch s[n];
#pragma GCC unroll 6
    for (int i = 0; i < n; ++i) s[i] = at(i, j);
    winograd_output_row<Arch>(s, half[j]);
  }
  Batch out[m][m];
#pragma GCC unroll 4
  for (int y = 0; y < m; ++y) {
    Batch s[n];
#pragma GCC unroll 6
    for (int j = 0; j < n; ++j) s[j] = half[j][y];
    winograd_output_row<Arch>(s, out[y]);
#pragma GCC unroll 4
    for (int x = 0; x < m; ++x) out[y][x] = V::max(V::set(0.0f), out[y][x] + bias);  // NaN stays
  }
  if (!pool) {
#pragma GCC unroll 4
    for (int y = 0; y < m; ++y) {
#pragma GCC unroll 4
      for (int x = 0; x < m; ++x) store(y, x, out[y][x]);
    }
    return;
  }
#pragma GCC unroll 2
  for (int y = 0; y < m; y += 2) {
#pragma GCC unroll 2
    for (int x = 0; x < m; x += 2) {
      const Batch sum = (out[y][x] + out[y][x + 1]) + (out[y + 1][x] + out[y + 1][x + 1]);
      store(y / 2, x / 2, sum * V::set(0.25f));
    }
  }
}

template <class Arch, class T, int m>
inline void winograd_output_tiles(const WinogradTiles& tiles, const float* sums, index_t position_stride,
                                  const float* bias, bool pool, T* maps) {
  using V = simd::F32<Arch>;
  constexpr int n = m + 2;
  const index_t channels = tiles.channels;
  const index_t step = pool ? 2 : 1;  // outputs of the convolution a stored pixel, each way
  const index_t height = tiles.height / step;
  const index_t width = tiles.width / step;
  for (index_t t = 0; t < tiles.count; ++t, sums += channels) {
    const TilePlace place = place_of<Arch>(tiles, tiles.first + t);
    const index_t top = place.y / step;
    const index_t left = place.x / step;
    T* corner = maps + ((place.map * height + top) * width + left) * channels;
    for_each_register<Arch>(channels, [&](index_t c, const auto& lanes) {
      transform_output<Arch, m>([&](int i, int j) { return lanes.load(sums + (i * n + j) * position_stride + c); },
                                lanes.load(bias + c), pool,
                                [&](int y, int x, typename V::Batch value) {
                                  if (top + y < height && left + x < width)
                                    lanes.store(corner + (y * width + x) * channels + c, value);
                                });
    });
  }
}

// The rows in the type that the products take; the maps are T.
template <class Arch, class T, int m>
inline void winograd_input_to(const WinogradTiles& tiles, const void* maps, const WinogradRows& rows) {
  constexpr int positions = (m + 2) * (m + 2);
  const T* in = static_cast<const T*>(maps);
  T* border = static_cast<T*>(rows.border);
  if (!is_integer(rows.rows.type)) {
    return winograd_input_tiles<Arch, T, m>(tiles, in, border, ElementRows<Arch, T>{rows.rows, rows.position_stride});
  }
  const IntegerRows<Arch, positions> integers{rows.rows, rows.position_stride, tiles.count, tiles.channels,
                                              rows.scratch};
  winograd_input_tiles<Arch, T, m>(tiles, in, border, integers);
}

/// Tiles of maps [*, height, width, channels] -> rows [n * n][count][channels] of the same type or integers; zeros
/// stand around a map.
template <class Arch>
inline void winograd_input(const WinogradTiles& tiles, const void* maps, const WinogradRows& rows) {
  using Bf16 = std::uint16_t;
  if (tiles.type == DataType::f32) {
    const auto transform = tiles.m == 2 ? winograd_input_to<Arch, float, 2> : winograd_input_to<Arch, float, 4>;
    return transform(tiles, maps, rows);
  }
  const auto transform = tiles.m == 2 ? winograd_input_to<Arch, Bf16, 2> : winograd_input_to<Arch, Bf16, 4>;
  transform(tiles, maps, rows);
}

/// Sums [n * n][count][channels], position_stride from position to position -> these tiles of maps [*, height, width,
/// channels]: relu(convolution + bias); with `pool` the maps are [*, height / 2, width / 2, channels], averages of 2 x
/// 2 of that.
template <class Arch>
inline void winograd_output(const WinogradTiles& tiles, const float* sums, index_t position_stride, const float* bias,
                            bool pool, void* maps) {
  if (tiles.type == DataType::f32) {
    const auto transform = tiles.m == 2 ? winograd_output_tiles<Arch, float, 2> : winograd_output_tiles<Arch, float, 4>;
    return transform(tiles, sums, position_stride, bias, pool, static_cast<float*>(maps));
  }
  using Bf16 = std::uint16_t;
  const auto transform = tiles.m == 2 ? winograd_output_tiles<Arch, Bf16, 2> : winograd_output_tiles<Arch, Bf16, 4>;
  transform(tiles, sums, position_stride, bias, pool, static_cast<Bf16*>(maps));
}

}  // namespace clipon::inline CLIPON_ABI::kernels

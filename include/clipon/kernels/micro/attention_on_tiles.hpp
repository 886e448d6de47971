// attention_tile.hpp's softmax(scale Q K^T) V of one head, with both products on AMX's tiles: bf16.  Called by
// attention.hpp.  Per ISA.
#pragma once

#include "clipon/kernels/micro/attention_tile.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

constexpr index_t kTileQueries = 2 * kPairRows;  // whose scores stand in memory: 64 x 577 of ViT-L/14@336px take 148 KB

/// 32-bit words of scratch for `keys` keys: K^T and V in panels, then the scores of a block of queries and their
/// weights; and a line to start at.
template <class Arch>
inline index_t attention_on_tiles_scratch(index_t keys, index_t head_width) {
  const index_t padded = whole_panels<Arch>(DataType::bf16, keys);
  return padded * whole_panels<Arch>(DataType::bf16, head_width) + kTileQueries * padded * 3 / 2 + 16;
}

template <class Arch, class Tiles>
inline void attention_on_tiles(const AttentionHead& head) {
  constexpr DataType type = DataType::bf16;
  static_assert(kTilePanel * 2 == simd::kTileBytes, "keys in whole panels are whole tiles of depth, too");
  const index_t padded = whole_panels<Arch>(type, head.keys);
  const index_t padded_width = whole_panels<Arch>(type, head.head_width);
  const auto past_a_line = static_cast<index_t>(reinterpret_cast<std::uintptr_t>(head.scratch) % 64);
  auto* keys =
      reinterpret_cast<std::uint32_t*>(head.scratch) + (64 - past_a_line) % 64 / 4;  // [padded / 32][steps][32]
  auto* values = keys + padded * padded_width / 2;                              // [padded_width / 32][padded / 2][32]
  auto* scores = reinterpret_cast<float*>(values + padded * padded_width / 2);  // [block of queries, padded]
  auto* weights = reinterpret_cast<std::uint16_t*>(scores + kTileQueries * padded);  // the same
  pack_keys<Arch, ProductBf16<Arch>>(head, keys);
  pack_values<Arch>(head, static_cast<const std::uint16_t*>(head.v.data), padded, values);

  const index_t blocks = (head.queries + kTileQueries - 1) / kTileQueries;
  for (index_t block = 0; block < blocks; ++block) {
    const index_t row = block * head.queries / blocks;
    const index_t rows = (block + 1) * head.queries / blocks - row;
    const index_t depth = whole_panels<Arch>(type, head.seen(row + rows - 1));  // to the block's last row
    GemmBlock product;
    product.a = head.q.from_row(row);
    product.panels = keys;
    product.rows = rows;
    product.columns = depth;
    product.depth = head.head_width;
    PlainSums<Arch> plain{scores, padded};
    multiply_panels<Tiles, type>(product, plain);

    float inverse[kTileQueries];
    softmax_rows<Arch>(head, row, rows, padded, depth, scores, weights, inverse);
    const Epilogue epilogue = store_to(head.out.data, head.out.stride, head.out.type);
    product.a = {weights, padded, type};
    product.depth = depth;
    for (index_t first = 0; first < head.head_width; first += kTilePanel) {  // a panel holds more keys than are visible
      product.panels = values + first * padded / 2;
      product.columns = std::min(kTilePanel, head.head_width - first);
      const auto finish = [&](const float* sums, index_t r, index_t count, index_t, index_t columns) {
        finish_rows<Arch, Activation::none>(FactoredSums<Arch>{sums, kTilePanel, inverse + r}, count, columns,
                                            epilogue.from(row + r, first));
      };
      WaitingSums<float, decltype(finish)> sums(finish);
      multiply_panels<Tiles, type>(product, sums);
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

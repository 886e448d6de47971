// One head's keys and values in the order that products read: K^T and V in panels, of keys that may lie anywhere among
// the rows.  Called by attention_tile.hpp and attention_on_tiles.hpp.  Per ISA.
#pragma once

#include <algorithm>

#include "clipon/kernels/micro/gemm_tiles.hpp"
#include "clipon/simd/transpose.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
CLIPON_ALWAYS_INLINE index_t whole_panels(DataType type, index_t columns) {
  const index_t nr = panel_columns<Arch>(type);
  return (columns + nr - 1) / nr * nr;
}

/// 32-bit words of a column of a panel that is `depth` deep.
template <class Product>
constexpr index_t column_words(index_t depth) {
  return padded_depth(Product::type, depth) / k_step(Product::type);
}

/// Panels of K^T: [keys / NR][steps][NR].  Columns beyond the last key repeat it: nobody reads their scores.
template <class Arch, class Product>
inline void pack_keys(const AttentionHead& head, std::uint32_t* panel) {
  constexpr index_t nr = panel_columns<Arch>(Product::type);
  constexpr index_t width = simd::F32<Arch>::width;
  const index_t element = static_cast<index_t>(size_of(Product::type));
  constexpr index_t together = panel_words<Arch>(Product::type);
  const index_t words = column_words<Product>(head.head_width);
  const index_t whole = together > 1 ? 0 : head.head_width / k_step(Product::type) / 4 * 4;
  const unsigned char* rows[width];
  for (index_t first = 0; first < whole_panels<Arch>(Product::type, head.keys); first += width) {
    for (index_t j = 0; j < width; ++j) {
      const index_t row = head.key_row(first + j < head.keys ? first + j : head.keys - 1);
      rows[j] = static_cast<const unsigned char*>(head.k.data) + row * head.k.stride * element;
    }
    std::uint32_t* out = panel + first / nr * nr * words + first % nr * together;
    for (index_t k = 0; k < whole; k += 4) simd::transpose_four<Arch>(rows, 4 * k, out + k * nr, nr);
    for (index_t k = whole; k < words; k += together) {  // steps of two words, or what is no multiple of four
      const index_t left = std::max(head.head_width * element - 4 * k, index_t{0});
      for (index_t j = 0; j < width; ++j) {
        std::uint32_t step[together] = {};
        if (left >= 4 * together) {  // a copy of known size is one load
          __builtin_memcpy(step, rows[j] + 4 * k, sizeof step);
        } else {
          __builtin_memcpy(step, rows[j] + 4 * k, static_cast<std::size_t>(left));
        }
        __builtin_memcpy(out + k * nr + j * together, step, sizeof step);
      }
    }
  }
}

/// Panels of V: [head_width / NR][steps][NR], `depth` keys deep; keys beyond the last are zero.  Registers of a panel
/// beyond the head's last column are left as they are: nobody reads their sums.
template <class Arch>
inline void pack_values(const AttentionHead& head, const float* values, index_t, std::uint32_t* panel) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = panel_columns<Arch>(DataType::f32);
  auto* out = reinterpret_cast<float*>(panel);
  for (index_t first = 0; first < head.head_width; first += nr) {
    const index_t columns = std::min(nr, head.head_width - first);
    for (index_t i = 0; i < head.keys; ++i, out += nr) {
      const float* row = values + head.key_row(i) * head.v.stride + first;
      for (index_t c = 0; c < columns; c += V::width) {
        V::store(out + c, V::load_part(row + c, std::min(columns - c, V::width)));
      }
    }
  }
}
/// The same of bf16 in steps of four keys.
template <class Arch>
inline void pack_values_by_fours(const AttentionHead& head, const std::uint16_t* values, index_t depth,
                                 std::uint32_t* panel) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = panel_columns<Arch>(DataType::bf16);
  const std::uint16_t zeros[nr] = {};
  auto* out = reinterpret_cast<std::uint16_t*>(panel);
  for (index_t first = 0; first < head.head_width; first += nr) {
    const index_t columns = std::min(nr, head.head_width - first);
    for (index_t i = 0; i < depth; i += 4, out += 4 * nr) {
      const std::uint16_t* rows[4];
      for (index_t k = 0; k < 4; ++k) {
        rows[k] = i + k < head.keys ? values + head.key_row(i + k) * head.v.stride + first : zeros;
      }
      index_t c = 0;
      for (; c + V::width <= columns; c += V::width) {
        V::store_fours(out + 4 * c, rows[0] + c, rows[1] + c, rows[2] + c, rows[3] + c);
      }
      for (; c < columns; ++c) {
        for (index_t k = 0; k < 4; ++k) out[4 * c + k] = rows[k][c];
      }
    }
  }
}
template <class Arch>
inline void pack_values(const AttentionHead& head, const std::uint16_t* values, index_t depth, std::uint32_t* panel) {
  using V = simd::F32<Arch>;
  constexpr index_t nr = panel_columns<Arch>(DataType::bf16);
  if constexpr (panel_words<Arch>(DataType::bf16) > 1) return pack_values_by_fours<Arch>(head, values, depth, panel);
  for (index_t first = 0; first < head.head_width; first += nr) {
    const index_t columns = std::min(nr, head.head_width - first);
    for (index_t i = 0; i < depth; i += 2, panel += nr) {  // a step: two keys
      if (i >= head.keys) {
        for (index_t c = 0; c < nr; ++c) panel[c] = 0;
        continue;
      }
      const std::uint16_t* low = values + head.key_row(i) * head.v.stride + first;
      const std::uint16_t* high = i + 1 < head.keys ? values + head.key_row(i + 1) * head.v.stride + first : nullptr;
      for (index_t c = 0; c < columns; c += V::width) {
        if (high != nullptr && c + V::width <= columns) {
          V::store_pairs(panel + c, low + c, high + c);
          continue;
        }
        for (index_t j = c; j < c + V::width; ++j) {
          const std::uint32_t a = j < columns ? low[j] : 0u;
          const std::uint32_t b = j < columns && high != nullptr ? high[j] : 0u;
          panel[j] = a | b << 16;
        }
      }
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

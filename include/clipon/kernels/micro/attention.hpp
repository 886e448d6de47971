// Attention of one head, by its type and what the ISA has for it.  Called by nn/attention.hpp through the table.
// Per ISA.
#pragma once

#include "clipon/kernels/micro/attention_on_tiles.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Floats of scratch for `keys` keys of any type.
template <class Arch>
inline index_t attention_scratch(index_t keys, index_t head_width) {
  const index_t words = attention_head_scratch<Arch>(keys, head_width);
  if constexpr (Arch::has_amx) return std::max(words, attention_on_tiles_scratch<Arch>(keys, head_width));
  return words;
}

template <class Arch>
inline void attention_head(const AttentionHead& head) {
  if (head.q.type == DataType::f32) return attention_head_of<Arch, ProductF32<Arch>>(head);
  if constexpr (Arch::has_amx) {
    attention_on_tiles<Arch, simd::Tiles<Arch::has_amx>>(head);
  } else if constexpr (Arch::fast_bf16_dot) {
    attention_head_of<Arch, ProductBf16<Arch>>(head);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

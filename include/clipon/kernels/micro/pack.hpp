// Packing of weights into the panel order that the GEMM's tile reads.  Runs once, at load.  Per ISA.
#pragma once

#include "clipon/kernels/micro/convert.hpp"
#include "clipon/kernels/micro/gemm_tiles.hpp"
#include "clipon/kernels/micro/quantise.hpp"
#include "clipon/simd/transpose.hpp"
#include "clipon/simd/value_range.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The scale of row `row` as signed bytes: the stored one, or the greatest magnitude over 127; NaN of a row with NaN,
/// or whose numbers overflow.
template <class Arch, index_t block>
inline float weight_scale(const StoredMatrix& w, index_t row) {
  constexpr float most = 0x1p120f;  // times 128, which is the greatest byte, finite
  if (w.type == DataType::i8) return w.scale[row] <= most ? w.scale[row] : kNan;
  using V = simd::F32<Arch>;
  float wide[block];
  simd::RangeOf<Arch> range;
  for (index_t k = 0; k < w.columns; k += block) {
    const index_t depth = w.columns - k < block ? w.columns - k : block;
    widen<Arch>(w, row, k, depth, wide);
    for (index_t i = 0; i < depth; i += V::width) range.add(V::load_part(wide + i, depth - i));
  }
  const simd::ValueRange found = range.of_floats();
  if (!found.finite) return kNan;
  return (found.greatest > -found.least ? found.greatest : -found.least) / 127.0f;
}

// What rounding has left out of some bytes, 0..255 for -128..127, in steps.
template <class Arch>
inline float rounding_error(const float* x, index_t n, float inverse, const std::uint8_t* bytes) {
  using V = simd::F32<Arch>;
  auto error = V::set(0.0f);
  for (index_t i = 0; i < n; i += V::width) {
    error = error + (V::load(x + i) * V::set(inverse) - (V::from_u8(bytes + i) - V::set(128.0f)));
  }
  return V::sum(error);
}

// Rounds the other way where it costs least, until the errors of a row's bytes so far cancel but for `most` steps: what
// follows a ReLU is not negative, so that an error which all bytes share moves the product, when others average out.
// owed: the row's error before these bytes, then after them.  Guo et al. 2022, SQuant, 3.3.
template <class Arch>
inline void balance_rounding(const float* x, index_t n, float inverse, float most, std::uint8_t* bytes, float& owed) {
  owed += rounding_error<Arch>(x, n, inverse, bytes);
  const float sign = owed < 0.0f ? -1.0f : 1.0f;
  for (const float least : {0.4f, 0.3f, 0.2f}) {  // an error of 0.4 becomes one of -0.6
    for (index_t i = 0; i < n && owed * sign > most; ++i) {
      const float error = x[i] * inverse - (static_cast<float>(bytes[i]) - 128.0f);
      if (error * sign <= least) continue;
      bytes[i] = static_cast<std::uint8_t>(bytes[i] + (sign > 0.0f ? 1 : -1));
      owed -= sign;
    }
  }
}

// n floats, a multiple of the register's width, as signed bytes: x * inverse, rounded.  Returns their sum.
template <class Arch>
inline std::int32_t to_signed_bytes(const float* x, index_t n, float inverse, float most, float& owed, void* out) {
  using V = simd::F32<Arch>;
  auto* bytes = static_cast<std::uint8_t*>(out);
  for (index_t i = 0; i < n; i += V::width) {  // through 0..255, which Bytes stores
    simd::Bytes<Arch>::store(bytes + i, V::fma(V::load(x + i), V::set(inverse), V::set(128.0f)));
  }
  balance_rounding<Arch>(x, n, inverse, most, bytes, owed);
  std::int32_t sum = 0;
  for (index_t i = 0; i < n; ++i) {
    sum += bytes[i] - 128;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ 0x80u);
  }
  return sum;
}

// n bytes of a row of W, 64 at most, become 16 bits each, where they lie.
template <class Arch>
inline void to_words(std::uint32_t* row, index_t n) {
  std::int8_t bytes[64];
  std::int16_t words[64];
  __builtin_memcpy(bytes, row, static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) words[i] = bytes[i];  // NOLINT(bugprone-signed-char-misuse): numbers
  __builtin_memcpy(row, words, 2 * static_cast<std::size_t>(n));
}

constexpr index_t kPackBlock = 64;  // NR rows of 64 floats: 12 KiB, stays in L1 while it is transposed

// typed [NR, kPackBlock], `words` of each row -> the next steps of a panel, [words / together][NR][together]; what
// follows them.
template <class Arch>
inline std::uint32_t* transpose_block(const std::uint32_t* typed, index_t nr, index_t words, index_t together,
                                      std::uint32_t* panel) {
  constexpr index_t width = simd::F32<Arch>::width;
  const index_t by_fours = together == 1 ? words / 4 * 4 : 0;
  for (index_t j = 0; j < nr && by_fours > 0; j += width) {
    const unsigned char* rows[width];
    for (index_t r = 0; r < width; ++r) rows[r] = reinterpret_cast<const unsigned char*>(typed + (j + r) * kPackBlock);
    for (index_t i = 0; i < by_fours; i += 4) simd::transpose_four<Arch>(rows, 4 * i, panel + i * nr + j, nr);
  }
  panel += by_fours * nr;
  for (index_t i = by_fours; i < words; i += together) {
    for (index_t j = 0; j < nr; ++j) {
      for (index_t word = i; word < i + together; ++word) *panel++ = typed[j * kPackBlock + word];
    }
  }
  return panel;
}

// A row of some matrix, or none.
struct StackRow {
  const StoredMatrix* matrix = nullptr;
  index_t row = 0;
};

CLIPON_ALWAYS_INLINE StackRow find_row(const StoredStack& w, index_t row) {
  for (index_t i = 0; i < w.count; row -= w.parts[i++].rows) {
    if (row < w.parts[i].rows) return {w.parts + i, row};
  }
  return {};
}

// What is read of a row from `column` on: prefetchers do not follow as many rows as a panel has.  Loading ViT-B/32 f16
// for f32 and bf16 took 1.04 and 1.07 times as long without (Zen 4, 2 threads).
CLIPON_ALWAYS_INLINE void prefetch_row(const StoredMatrix& w, index_t row, index_t column) {
  const auto element = static_cast<index_t>(size_of(w.type));
  const index_t left = w.columns - column;
  const index_t bytes = (left < kPackBlock ? left : kPackBlock) * element;
  const auto* first = static_cast<const unsigned char*>(w.data) + (row * w.columns + column) * element;
  for (index_t at = 0; at < bytes; at += 64) __builtin_prefetch(first + at);
}

/// Elements k .. k + depth of a row of W, and zeros up to kPackBlock, in the type of the panel: `typed`, whose row j
/// this is.  most, owed: to_signed_bytes has what they are.
template <class Arch>
CLIPON_ALWAYS_INLINE void convert_row(const StackRow& from, index_t k, index_t depth, const PanelRows& out, index_t j,
                                      float most, float& owed, std::uint32_t* typed) {
  constexpr index_t block = kPackBlock;
  float wide[block];
  if (depth < block || from.matrix == nullptr) {
    for (float& x : wide) x = 0.0f;
  }
  if (from.matrix != nullptr) {
    widen<Arch>(*from.matrix, from.row, k, depth, wide);
    prefetch_row(*from.matrix, from.row, k + depth);
  }
  if (out.type == DataType::f32 && !out.stored_bf16) {
    __builtin_memcpy(typed, wide, sizeof wide);
  } else if (out.type == DataType::bf16 || out.stored_bf16) {
    round_row<Arch>(RowOf<Arch, float>{wide}, block, reinterpret_cast<std::uint16_t*>(typed));
  } else {
    const float scale = out.column_scale[j];
    const auto sum = to_signed_bytes<Arch>(wide, block, scale > 0.0f ? 1.0f / scale : 0.0f, most, owed, typed);
    out.column_sum[j] += static_cast<float>(sum);
    if (out.type == DataType::i16) to_words<Arch>(typed, block);
  }
}

/// Rows first .. first + NR of W [rows, columns] become one panel: its head, if its type has one, then its steps; what
/// is missing is zero.
template <class Arch>
inline void pack_panel(const StoredStack& w, index_t first, const PanelRows& out) {
  const index_t nr = panel_columns<Arch>(out.type);
  const index_t columns = w.columns();
  constexpr index_t block = kPackBlock;
  constexpr index_t most_rows = (gemm_columns<Arch>) > kTilePanel ? gemm_columns<Arch> : kTilePanel;
  std::uint32_t typed[most_rows * block];  // [NR, block / k_step]
  float owed[most_rows] = {};              // [NR]
  StackRow rows[most_rows];                // [NR]
  for (index_t j = 0; j < nr; ++j) rows[j] = find_row(w, first + j);
  for (index_t j = 0; is_integer(out.type) && j < nr; ++j) {
    const StackRow& row = rows[j];
    out.column_scale[j] = row.matrix != nullptr ? weight_scale<Arch, block>(*row.matrix, row.row) : 0.0f;
    out.column_sum[j] = 0.0f;
  }
  std::uint32_t* const first_step = static_cast<std::uint32_t*>(out.panel) + panel_head(out.type) * nr;
  std::uint32_t* panel = first_step;
  for (index_t k = 0; k < columns; k += block) {
    const index_t depth = columns - k < block ? columns - k : block;
    const float most = columns - k < 2 * block ? 0.5f : 4.0f;  // half a step after every block: more changes
    for (index_t j = 0; j < nr; ++j) {
      convert_row<Arch>(rows[j], k, depth, out, j, most, owed[j], typed + j * block);
    }
    if (out.stored_bf16) {  // a step of one element
      auto* to = static_cast<std::uint16_t*>(out.panel) + k * nr;
      for (index_t i = 0; i < depth; ++i) {
        for (index_t j = 0; j < nr; ++j) *to++ = reinterpret_cast<std::uint16_t*>(typed + j * block)[i];
      }
      continue;
    }
    const index_t steps = padded_depth(out.type, depth) / k_step(out.type);
    panel = transpose_block<Arch>(typed, nr, steps, panel_words<Arch>(out.type), panel);
  }
  if constexpr (!Arch::has_byte_dot) {
    const index_t steps = (panel - first_step) / nr;
    if (out.type == DataType::i16) panel_self_products<Arch>(first_step, steps, static_cast<std::uint32_t*>(out.panel));
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

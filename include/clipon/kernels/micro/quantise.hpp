// Rows of activations in the type that the next product computes in: bf16, or bytes with a scale and zero point a row.
// Called by nn/ through the table, and by the kernels that write or pack such rows.  Per ISA.
#pragma once

#include <cmath>
#include <limits>

#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/micro/word_product.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/bytes.hpp"
#include "clipon/simd/value_range.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// The scale and zero point that cover least..greatest, least <= 0 <= greatest, by the bytes 0..255; 0 is exact.
/// Krishnamoorthi 2018, Quantizing deep convolutional networks for efficient inference, 2.1.
template <class Arch>
CLIPON_ALWAYS_INLINE RowScale row_scale(float least, float greatest) {
  const float scale = (greatest - least) / 255.0f;
  // a subnormal scale has no reciprocal (FloatingPointScope makes it 0): such a row becomes zeros
  if (scale < std::numeric_limits<float>::min()) return {0.0f, 0.0f};
  return {scale, std::nearbyintf(-least / scale)};
}

/// A row of n values in bf16, zeros up to padded_depth.  Row gives them a register at a time: load(i), and of the last,
/// n - i of them, load_part(i, n - i).
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE void round_row(const Row& row, index_t n, std::uint16_t* out) {
  using V = simd::F32<Arch>;
  const index_t whole = n / V::width * V::width;
  for (index_t i = 0; i < whole; i += V::width) V::store_bf16(out + i, row.load(i));
  if (whole < n) simd::store_bf16_part<Arch>(out + whole, row.load_part(whole, n - whole), n - whole);
  for (index_t i = n; i < padded_depth(DataType::bf16, n); ++i) out[i] = 0;
}

/// A row in memory, of floats or bf16.
template <class Arch, class T>
struct RowOf {
  const T* x;
  CLIPON_ALWAYS_INLINE auto load(index_t i) const { return Element<Arch, T>::load(x + i); }
  CLIPON_ALWAYS_INLINE auto load_part(index_t i, index_t n) const { return Element<Arch, T>::load_part(x + i, n); }
};

/// The range of n values of a row.
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE simd::ValueRange range_of(const Row& row, index_t n) {
  using V = simd::F32<Arch>;
  simd::RangeOf<Arch> range;
  const index_t whole = n / V::width * V::width;
  for (index_t i = 0; i < whole; i += V::width) range.add(row.load(i));
  if (whole < n) range.add(row.load_part(whole, n - whole));
  return range.of_floats();
}

template <class Arch>
CLIPON_ALWAYS_INLINE simd::ValueRange range_of(const RowOf<Arch, std::uint16_t>& row, index_t n) {
  using Range = simd::RangeOf<Arch>;
  Range range;
  const index_t whole = n / Range::bf16_width * Range::bf16_width;
  for (index_t i = 0; i < whole; i += Range::bf16_width) range.add_bf16(row.x + i);
  if (whole < n) {
    std::uint16_t rest[Range::bf16_width] = {};
    for (index_t i = 0; i < Range::bf16_width; ++i) {
      if (whole + i < n) rest[i] = row.x[whole + i];
    }
    range.add_bf16(rest);
  }
  return range.of_bf16();
}

/// The scale of n values of a row.  A row with NaN or infinity becomes NaN by it, and Model refuses it.
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE RowScale scale_of(const Row& row, index_t n) {
  const simd::ValueRange range = range_of<Arch>(row, n);
  if (!range.finite) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  return row_scale<Arch>(range.least, range.greatest);
}

/// x as a byte of `scale`, not rounded yet.
template <class Arch>
class InBytes {
 public:
  using V = simd::F32<Arch>;
  CLIPON_ALWAYS_INLINE explicit InBytes(const RowScale& scale)
      : inverse_(V::set(scale.scale > 0.0f ? 1.0f / scale.scale : 0.0f)), zero_(V::set(scale.zero)) {}
  CLIPON_ALWAYS_INLINE typename V::Batch operator()(typename V::Batch x) const { return V::fma(x, inverse_, zero_); }

 private:
  typename V::Batch inverse_;
  typename V::Batch zero_;
};

/// n values of a row as the bytes of `scale`.
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE void store_bytes(const Row& row, index_t n, const RowScale& scale, std::uint8_t* out) {
  using V = simd::F32<Arch>;
  using Bytes = simd::Bytes<Arch>;
  const InBytes<Arch> in_bytes(scale);
  index_t i = 0;
  for (constexpr index_t step = Bytes::registers * V::width; i + step <= n; i += step) {
    typename V::Batch x[Bytes::registers];
#pragma GCC unroll 4
    for (int r = 0; r < Bytes::registers; ++r) x[r] = in_bytes(row.load(i + r * V::width));
    Bytes::store_all(out + i, x);
  }
  for (; i + V::width <= n; i += V::width) Bytes::store(out + i, in_bytes(row.load(i)));
  if (i < n) {
    std::uint8_t bytes[V::width];
    Bytes::store(bytes, in_bytes(row.load_part(i, n - i)));
    for (index_t j = 0; j < V::width; ++j) {
      if (i + j < n) out[i + j] = bytes[j];
    }
  }
  for (i = n; i < padded_depth(DataType::i8, n); ++i) out[i] = 0;
}

/// The same in 16 bits each; returns the row's products with itself.
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE std::uint32_t store_words(const Row& row, index_t n, const RowScale& scale, std::int16_t* out) {
  using V = simd::F32<Arch>;
  const InBytes<Arch> in_bytes(scale);
  index_t i = 0;
  for (; i + V::width <= n; i += V::width) {
    simd::Bytes<Arch>::store_words(out + i, in_bytes(row.load(i)));
  }
  if (i < n) {
    std::int16_t words[V::width];
    simd::Bytes<Arch>::store_words(words, in_bytes(row.load_part(i, n - i)));
    for (index_t j = 0; i + j < n; ++j) out[i + j] = words[j];
  }
  const index_t padded = padded_depth(DataType::i16, n);
  for (i = n; i < padded; ++i) out[i] = 0;
  return row_self_product<Arch>(out, padded);
}

/// One row to row `r` of `out`, which is bf16 or of integers.
template <class Arch, class Row>
CLIPON_ALWAYS_INLINE void write_operand_row(const Row& row, index_t n, const OperandRows& out, index_t r) {
  if (out.type == DataType::bf16) {
    round_row<Arch>(row, n, static_cast<std::uint16_t*>(out.data) + r * out.stride);
    return;
  }
  out.scales[r] = scale_of<Arch>(row, n);
  if (out.type == DataType::i8) {
    store_bytes<Arch>(row, n, out.scales[r], static_cast<std::uint8_t*>(out.data) + r * out.stride);
  } else {
    auto* words = static_cast<std::int16_t*>(out.data) + r * out.stride;
    out.scales[r].self_product = store_words<Arch>(row, n, out.scales[r], words);
  }
}

// does(row): x's first row, in its type.
template <class Arch, class Does>
CLIPON_ALWAYS_INLINE auto with_row(const Operand& x, const Does& does) {
  if (x.type == DataType::f32) return does(RowOf<Arch, float>{static_cast<const float*>(x.data)});
  return does(RowOf<Arch, std::uint16_t>{static_cast<const std::uint16_t*>(x.data)});
}

/// x [rows, n], f32 or bf16 -> out [rows, n], bf16 or integers.
template <class Arch>
inline void quantise(const Operand& x, index_t rows, index_t n, const OperandRows& out) {
  for (index_t r = 0; r < rows; ++r) {
    with_row<Arch>(x.from_row(r), [&](const auto& row) { write_operand_row<Arch>(row, n, out, r); });
  }
}

/// The scale that quantise would give n values, f32 or bf16.
template <class Arch>
inline RowScale scale_of_row(const Operand& x, index_t n) {
  return with_row<Arch>(x, [&](const auto& row) { return scale_of<Arch>(row, n); });
}

/// n values, f32 or bf16, as the bytes of a scale that may be another's; zeros up to padded_depth.
template <class Arch>
inline void row_to_bytes(const Operand& x, index_t n, const RowScale& scale, std::uint8_t* out) {
  with_row<Arch>(x, [&](const auto& row) { store_bytes<Arch>(row, n, scale, out); });
}

}  // namespace clipon::inline CLIPON_ABI::kernels

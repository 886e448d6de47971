// From the sums of a tile to stored outputs: scales of int8, then bias, residual, activation and rounding.
// Called by gemm.hpp, and by what sums on its own: gemm_tiles.hpp, attention_on_tiles.hpp, strassen.hpp.  Per ISA.
#pragma once

#include "clipon/kernels/micro/activation.hpp"
#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Sums [rows, stride] that are the products already.
template <class Arch>
struct FloatSums {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  struct Column {
    const float* sums;
    index_t stride;
    Batch bias;
    CLIPON_ALWAYS_INLINE Batch row(index_t r) const { return V::load(sums + r * stride) + bias; }
  };
  const float* sums;
  index_t stride;
  CLIPON_ALWAYS_INLINE Column column(index_t c, Batch bias) const { return {sums + c, stride, bias}; }
};

/// Sums [rows, stride], each row to be multiplied by a factor.
template <class Arch>
struct FactoredSums {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  struct Column {
    const float* sums;
    index_t stride;
    const float* row_factor;
    Batch bias;
    CLIPON_ALWAYS_INLINE Batch row(index_t r) const {
      return V::fma(V::load(sums + r * stride), V::set(row_factor[r]), bias);
    }
  };
  const float* sums;
  index_t stride;
  const float* row_factor;
  CLIPON_ALWAYS_INLINE Column column(index_t c, Batch bias) const { return {sums + c, stride, row_factor, bias}; }
};

/// What turns integer sums into products.  Row r of A is s_r (u - z_r) and column c of W is t_c w, so
/// A W^T = s_r t_c (sum u w - z_r sum w).  Both sums are whole numbers: up to 2^24 a float holds them as they are.
struct IntegerScales {
  const RowScale* row = nullptr;      // [rows]
  const float* column = nullptr;      // padded to whole panels
  const float* column_sum = nullptr;  // padded to whole panels
};

// An integer sum of a row and a register of columns as products, plus bias.
template <class Arch>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch scaled_sum(typename simd::F32<Arch>::Batch sum,
                                                                const RowScale& row,
                                                                typename simd::F32<Arch>::Batch column_sum,
                                                                typename simd::F32<Arch>::Batch column_scale,
                                                                typename simd::F32<Arch>::Batch bias) {
  using V = simd::F32<Arch>;
  return V::fma(V::fnma(V::set(row.zero), column_sum, sum), V::set(row.scale) * column_scale, bias);
}

/// Integer sums [rows, stride].
template <class Arch>
struct ScaledSums {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  struct Column {
    const std::int32_t* sums;
    index_t stride;
    const RowScale* row_scales;
    Batch column_sum;
    Batch scale;
    Batch bias;
    CLIPON_ALWAYS_INLINE Batch row(index_t r) const {
      return scaled_sum<Arch>(V::from_i32(sums + r * stride), row_scales[r], column_sum, scale, bias);
    }
  };
  const std::int32_t* sums;
  index_t stride;
  IntegerScales scales;
  CLIPON_ALWAYS_INLINE Column column(index_t c, Batch bias) const {
    return {sums + c, stride, scales.row, V::load(scales.column_sum + c), V::load(scales.column + c), bias};
  }
};

// x and what lies at residual_at, if there is a residual.
template <class Arch, bool whole>
CLIPON_ALWAYS_INLINE typename simd::F32<Arch>::Batch with_residual(typename simd::F32<Arch>::Batch x,
                                                                   const Epilogue& to, index_t residual_at,
                                                                   index_t left) {
  using V = simd::F32<Arch>;
  if (to.residual != nullptr) {
    return x + (whole ? V::load(to.residual + residual_at) : V::load_part(to.residual + residual_at, left));
  }
  if (to.residual_bf16 != nullptr) {
    const std::uint16_t* residual = to.residual_bf16 + residual_at;
    return x + (whole ? V::from_bf16(residual) : Element<Arch, std::uint16_t>::load_part(residual, left));
  }
  return x;
}

// One register of sums with their bias: residual, activation, rounding.  `at` and `residual_at`: where it lies in the
// epilogue's matrices.  `whole`: all of its columns are wanted, else `left` of them.
template <class Arch, Activation activation, bool whole>
CLIPON_ALWAYS_INLINE void finish_register(typename simd::F32<Arch>::Batch x, const Epilogue& to, index_t at,
                                          index_t residual_at, index_t left) {
  using V = simd::F32<Arch>;
  x = with_residual<Arch, whole>(x, to, residual_at, left);
  if (to.out_bf16 != nullptr) {
    x = activate<Arch, activation, std::uint16_t>(x);
    if constexpr (whole) {
      V::store_bf16(to.out_bf16 + at, x);
    } else {
      simd::store_bf16_part<Arch>(to.out_bf16 + at, x, left);
    }
  } else {
    x = activate<Arch, activation, float>(x);
    if constexpr (whole) {
      V::store(to.out + at, x);
    } else {
      V::store_part(to.out + at, x, left);
    }
  }
}

// The same of two neighbours, all of whose columns are wanted.
template <class Arch, Activation activation>
CLIPON_ALWAYS_INLINE void finish_registers(typename simd::F32<Arch>::Batch x, typename simd::F32<Arch>::Batch y,
                                           const Epilogue& to, index_t at, index_t residual_at) {
  using V = simd::F32<Arch>;
  x = with_residual<Arch, true>(x, to, residual_at, V::width);
  y = with_residual<Arch, true>(y, to, residual_at + V::width, V::width);
  if (to.out_bf16 != nullptr) {
    x = activate<Arch, activation, std::uint16_t>(x);
    y = activate<Arch, activation, std::uint16_t>(y);
    simd::store_bf16_two<Arch>(to.out_bf16 + at, x, y);
  } else {
    V::store(to.out + at, activate<Arch, activation, float>(x));
    V::store(to.out + at + V::width, activate<Arch, activation, float>(y));
  }
}

// Two registers of columns from `c` on of every row: what belongs to a row is loaded, and its line stored, once.
template <class Arch, Activation activation, class Sums>
CLIPON_ALWAYS_INLINE void finish_two_columns(const Sums& sums, index_t rows, index_t c, const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  const Epilogue to = epilogue;  // a copy, whose members stay in registers: stores could change the caller's
  const auto zero = V::set(0.0f);
  const auto left = sums.column(c, to.bias == nullptr ? zero : V::load(to.bias + c));
  const auto right = sums.column(c + V::width, to.bias == nullptr ? zero : V::load(to.bias + c + V::width));
  for (index_t r = 0, at = c, residual_at = c; r < rows; ++r, at += to.out_stride, residual_at += to.residual_stride) {
    finish_registers<Arch, activation>(left.row(r), right.row(r), to, at, residual_at);
  }
}

// A register of columns from `c` on, of which `left` are wanted, of every row.  Rows pass in the inner loop: what
// belongs to the columns is loaded once, and no row waits for another's activation.
template <class Arch, Activation activation, bool whole, class Sums>
CLIPON_ALWAYS_INLINE void finish_column(const Sums& sums, index_t rows, index_t c, index_t left,
                                        const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  const Epilogue to = epilogue;  // a copy, whose members stay in registers: stores could change the caller's
  auto bias = V::set(0.0f);
  if (to.bias != nullptr) bias = whole ? V::load(to.bias + c) : V::load_part(to.bias + c, left);
  const auto column = sums.column(c, bias);
  for (index_t r = 0, at = c, residual_at = c; r < rows; ++r, at += to.out_stride, residual_at += to.residual_stride) {
    finish_register<Arch, activation, whole>(column.row(r), to, at, residual_at, left);
  }
}

template <class Arch, Activation activation, class Sums>
inline void finish_rows(const Sums& sums, index_t rows, index_t columns, const Epilogue& epilogue) {
  constexpr index_t width = simd::F32<Arch>::width;
  index_t c = 0;
  for (; columns - c >= 2 * width; c += 2 * width) finish_two_columns<Arch, activation>(sums, rows, c, epilogue);
  if (columns - c >= width) {
    finish_column<Arch, activation, true>(sums, rows, c, width, epilogue);
    c += width;
  }
  if (c < columns) finish_column<Arch, activation, false>(sums, rows, c, columns - c, epilogue);
}

template <class Arch, class Sums>
inline void finish_tile(const Sums& sums, index_t rows, index_t columns, const Epilogue& epilogue) {
  switch (epilogue.activation) {
    case Activation::none:
      return finish_rows<Arch, Activation::none>(sums, rows, columns, epilogue);
    case Activation::quick_gelu:
      return finish_rows<Arch, Activation::quick_gelu>(sums, rows, columns, epilogue);
    case Activation::gelu:
      return finish_rows<Arch, Activation::gelu>(sums, rows, columns, epilogue);
    case Activation::gelu_tanh:
      return finish_rows<Arch, Activation::gelu_tanh>(sums, rows, columns, epilogue);
    case Activation::relu:
      return finish_rows<Arch, Activation::relu>(sums, rows, columns, epilogue);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

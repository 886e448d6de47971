// From the sums of a tile to stored outputs: scales of int8, then bias, residual, activation and rounding.
// Called by gemm.hpp.  Per ISA.
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
  const float* sums;
  index_t stride;
  CLIPON_ALWAYS_INLINE auto plus(typename V::Batch bias, index_t r, index_t c) const {
    return V::load(sums + r * stride + c) + bias;
  }
};

/// Sums [rows, stride], each row to be multiplied by a factor.
template <class Arch>
struct FactoredSums {
  using V = simd::F32<Arch>;
  const float* sums;
  index_t stride;
  const float* row_factor;
  CLIPON_ALWAYS_INLINE auto plus(typename V::Batch bias, index_t r, index_t c) const {
    return V::fma(V::load(sums + r * stride + c), V::set(row_factor[r]), bias);
  }
};

/// Integer sums [rows, stride].  Row r of A is s_r (u - z_r) and column c of W is t_c w, so
/// A W^T = s_r t_c (sum u w - z_r sum w); the difference is taken in integers, where it is exact.
template <class Arch>
struct ScaledSums {
  using V = simd::F32<Arch>;
  const std::int32_t* sums;
  index_t stride;
  const RowScale* row_scales;
  const float* column_scale;       // padded to whole panels
  const std::int32_t* column_sum;  // padded to whole panels
  CLIPON_ALWAYS_INLINE auto plus(typename V::Batch bias, index_t r, index_t c) const {
    const auto product = V::from_difference(sums + r * stride + c, row_scales[r].zero, column_sum + c);
    return V::fma(product, V::set(row_scales[r].scale) * V::load(column_scale + c), bias);
  }
};

template <class Arch, Activation activation, class Sums>
inline void finish_rows(const Sums& sums, int rows, index_t columns, const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  for (int r = 0; r < rows; ++r) {
    const float* residual = epilogue.residual + (epilogue.residual != nullptr ? r * epilogue.residual_stride : 0);
    const std::uint16_t* residual_bf16 =
        epilogue.residual_bf16 + (epilogue.residual_bf16 != nullptr ? r * epilogue.residual_stride : 0);
    for (index_t c = 0; c < columns; c += V::width) {
      const index_t left = columns - c;
      const index_t at = r * epilogue.out_stride + c;
      const auto bias = epilogue.bias == nullptr ? V::set(0.0f) : V::load_part(epilogue.bias + c, left);
      auto x = sums.plus(bias, r, c);
      if (left >= V::width) {
        if (epilogue.residual != nullptr) x = x + V::load(residual + c);
        if (epilogue.residual_bf16 != nullptr) x = x + V::from_bf16(residual_bf16 + c);
        x = activate<Arch, activation>(x);
        if (epilogue.out_bf16 != nullptr) {
          V::store_bf16(epilogue.out_bf16 + at, x);
        } else {
          V::store(epilogue.out + at, x);
        }
      } else {
        if (epilogue.residual != nullptr) x = x + V::load_part(residual + c, left);
        if (epilogue.residual_bf16 != nullptr) {
          x = x + Element<Arch, std::uint16_t>::load_part(residual_bf16 + c, left);
        }
        x = activate<Arch, activation>(x);
        if (epilogue.out_bf16 != nullptr) {
          simd::store_bf16_part<Arch>(epilogue.out_bf16 + at, x, left);
        } else {
          V::store_part(epilogue.out + at, x, left);
        }
      }
    }
  }
}

template <class Arch, class Sums>
inline void finish_tile(const Sums& sums, int rows, index_t columns, const Epilogue& epilogue) {
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

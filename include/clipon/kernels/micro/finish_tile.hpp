// From the sums of a tile to stored outputs: scales of int8, then bias, residual, activation and rounding.
// Called by gemm.hpp.  Per ISA.
#pragma once

#include "clipon/kernels/micro/activation.hpp"
#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Integer sums [rows, columns] to floats.  Row r of A is s_r (u - z_r) and column c of W is t_c w, so
/// A W^T = s_r t_c (sum u w - z_r sum w).
template <class Arch, index_t columns>
inline void scale_sums(const std::int32_t* sums, int rows, const RowScale* row_scales, const float* column_scale,
                       const std::int32_t* column_sum, float* out) {
  for (int r = 0; r < rows; ++r, sums += columns, out += columns) {
    const std::int32_t zero = row_scales[r].zero;
    const float scale = row_scales[r].scale;
    for (index_t c = 0; c < columns; ++c) {
      out[c] = static_cast<float>(sums[c] - zero * column_sum[c]) * (scale * column_scale[c]);
    }
  }
}

template <class Arch>
inline void finish_tile(const float* sums, int rows, index_t sums_stride, index_t columns, const Epilogue& epilogue) {
  using V = simd::F32<Arch>;
  for (int r = 0; r < rows; ++r, sums += sums_stride) {
    const float* residual = epilogue.residual + (epilogue.residual != nullptr ? r * epilogue.residual_stride : 0);
    for (index_t c = 0; c < columns; c += V::width) {
      const index_t left = columns - c;
      const index_t at = r * epilogue.out_stride + c;
      auto x = V::load(sums + c);
      if (left >= V::width) {
        if (epilogue.bias != nullptr) x = x + V::load(epilogue.bias + c);
        if (epilogue.residual != nullptr) x = x + V::load(residual + c);
        x = activate<Arch>(epilogue.activation, x);
        if (epilogue.out_bf16 != nullptr) {
          V::store_bf16(epilogue.out_bf16 + at, x);
        } else {
          V::store(epilogue.out + at, x);
        }
      } else {
        if (epilogue.bias != nullptr) x = x + V::load_part(epilogue.bias + c, left);
        if (epilogue.residual != nullptr) x = x + V::load_part(residual + c, left);
        x = activate<Arch>(epilogue.activation, x);
        if (epilogue.out_bf16 != nullptr) {
          simd::store_bf16_part<Arch>(epilogue.out_bf16 + at, x, left);
        } else {
          V::store_part(epilogue.out + at, x, left);
        }
      }
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

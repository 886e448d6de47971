// From stored numbers to floats: rows of weights (f32, f16, bf16, int8) and pixels (u8).  Per ISA.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// out[0..n) = row `row` of `matrix` from column `first` on, as floats (int8 times its row's scale).
template <class Arch>
inline void widen(const StoredMatrix& matrix, index_t row, index_t first, index_t n, float* out) {
  using V = simd::F32<Arch>;
  const index_t start = row * matrix.columns + first;
  index_t i = 0;
  switch (matrix.type) {
    case DataType::f32: {
      const auto* p = static_cast<const float*>(matrix.data) + start;
      for (; i + V::width <= n; i += V::width) V::store(out + i, V::load(p + i));
      for (; i < n; ++i) out[i] = p[i];
      return;
    }
    case DataType::f16: {
      const auto* p = static_cast<const std::uint16_t*>(matrix.data) + start;
      for (; i + V::width <= n; i += V::width) V::store(out + i, V::from_f16(p + i));
      for (; i < n; ++i) out[i] = f16_to_float(p[i]);
      return;
    }
    case DataType::bf16: {
      const auto* p = static_cast<const std::uint16_t*>(matrix.data) + start;
      for (; i + V::width <= n; i += V::width) V::store(out + i, V::from_bf16(p + i));
      for (; i < n; ++i) out[i] = bf16_to_float(p[i]);
      return;
    }
    case DataType::i8: {
      const auto* p = static_cast<const std::int8_t*>(matrix.data) + start;
      const float scale = matrix.scale[row];
      for (; i + V::width <= n; i += V::width) V::store(out + i, V::from_i8(p + i) * V::set(scale));
      for (; i < n; ++i) out[i] = static_cast<float>(p[i]) * scale;
      return;
    }
    case DataType::i16:
      return;  // nothing is stored in it
  }
}

/// out[i] = pixels[i] * scale[i] + offset[i]: bytes of a picture to normalised floats.
template <class Arch>
inline void normalise_pixels(const std::uint8_t* pixels, const float* scale, const float* offset, index_t n,
                             float* out) {
  using V = simd::F32<Arch>;
  index_t i = 0;
  for (; i + V::width <= n; i += V::width) {
    V::store(out + i, V::fma(V::from_u8(pixels + i), V::load(scale + i), V::load(offset + i)));
  }
  for (; i < n; ++i) out[i] = static_cast<float>(pixels[i]) * scale[i] + offset[i];
}

}  // namespace clipon::inline CLIPON_ABI::kernels

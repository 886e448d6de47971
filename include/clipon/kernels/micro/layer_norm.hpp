// LayerNorm of rows (Ba et al. 2016; torch.nn.LayerNorm: biased variance).  Called by nn/layer_norm.hpp through the
// table. Per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// out[r, :] = (x[r, :] - mean) / sqrt(variance + epsilon) * gain + bias; `out` may be `x`.
template <class Arch>
inline void layer_norm(const float* x, index_t x_stride, index_t rows, index_t width, const float* gain,
                       const float* bias, float epsilon, float* out, index_t out_stride) {
  using V = simd::F32<Arch>;
  const index_t whole = width / V::width * V::width;
  const index_t rest = width - whole;
  const float inverse_width = 1.0f / static_cast<float>(width);
  for (index_t row = 0; row < rows; ++row, x += x_stride, out += out_stride) {
    auto total = V::set(0.0f);
    for (index_t i = 0; i < whole; i += V::width) total = total + V::load(x + i);
    if (rest > 0) total = total + V::load_part(x + whole, rest);
    const float mean_value = V::sum(total) * inverse_width;
    const auto mean = V::set(mean_value);

    auto squares = V::set(0.0f);  // two passes: no cancellation for rows far from zero
    for (index_t i = 0; i < whole; i += V::width) {
      const auto d = V::load(x + i) - mean;
      squares = V::fma(d, d, squares);
    }
    float square_sum = V::sum(squares);
    for (index_t i = whole; i < width; ++i) square_sum += (x[i] - mean_value) * (x[i] - mean_value);
    const auto inverse = V::set(1.0f / std::sqrt(square_sum * inverse_width + epsilon));

    for (index_t i = 0; i < whole; i += V::width) {
      V::store(out + i, V::fma((V::load(x + i) - mean) * inverse, V::load(gain + i), V::load(bias + i)));
    }
    if (rest > 0) {
      const auto y = (V::load_part(x + whole, rest) - mean) * inverse;
      V::store_part(out + whole, V::fma(y, V::load_part(gain + whole, rest), V::load_part(bias + whole, rest)), rest);
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// Average pooling, 2 x 2 with stride 2, on NHWC maps: the antialiased stride of ModifiedResNet (clip/model.py,
// Bottleneck). Per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// in [height, width, channels] -> out [height / 2, width / 2, channels]; an odd last row or column is dropped, as
/// torch.nn.AvgPool2d(2) does.
template <class Arch>
inline void average_pool_2x2(const float* in, index_t height, index_t width, index_t channels, float* out) {
  using V = simd::F32<Arch>;
  const auto quarter = V::set(0.25f);
  for (index_t y = 0; y + 1 < height; y += 2) {
    for (index_t x = 0; x + 1 < width; x += 2, out += channels) {
      const float* a = in + (y * width + x) * channels;
      const float* b = a + width * channels;
      index_t c = 0;
      for (; c + V::width <= channels; c += V::width) {
        const auto top = V::load(a + c) + V::load(a + channels + c);
        const auto bottom = V::load(b + c) + V::load(b + channels + c);
        V::store(out + c, (top + bottom) * quarter);
      }
      for (; c < channels; ++c) out[c] = (a[c] + a[channels + c] + b[c] + b[channels + c]) * 0.25f;
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

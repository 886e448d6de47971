// Average pooling, 2 x 2 with stride 2, on NHWC maps: the antialiased stride of ModifiedResNet (clip/model.py,
// Bottleneck). Per ISA.
#pragma once

#include "clipon/kernels/micro/element.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, class T>
inline void pool_2x2(const T* in, index_t height, index_t width, index_t channels, T* out) {
  const auto quarter = simd::F32<Arch>::set(0.25f);
  const index_t below = width * channels;
  for (index_t y = 0; y + 1 < height; y += 2) {
    for (index_t x = 0; x + 1 < width; x += 2, out += channels) {
      const T* a = in + (y * width + x) * channels;
      const T* b = a + channels;
      for_each_register<Arch>(channels, [&](index_t c, const auto& lanes) {
        const auto top = lanes.load(a + c) + lanes.load(b + c);
        const auto bottom = lanes.load(a + below + c) + lanes.load(b + below + c);
        lanes.store(out + c, (top + bottom) * quarter);
      });
    }
  }
}

/// in [height, width, channels] -> out [height / 2, width / 2, channels], both f32 or both bf16, elsewhere; an odd last
/// row or column is dropped, as torch.nn.AvgPool2d(2) does.
template <class Arch>
inline void average_pool_2x2(const void* in, DataType type, index_t height, index_t width, index_t channels,
                             void* out) {
  if (type == DataType::f32) {
    pool_2x2<Arch>(static_cast<const float*>(in), height, width, channels, static_cast<float*>(out));
  } else {
    pool_2x2<Arch>(static_cast<const std::uint16_t*>(in), height, width, channels, static_cast<std::uint16_t*>(out));
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

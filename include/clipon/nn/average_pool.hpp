// 2 x 2 average pooling of NHWC maps.  Layer 3; used by the ResNet's layers.  torch.nn.AvgPool2d(2).
#pragma once

#include "clipon/kernels/gemm.hpp"
#include "clipon/nn/map.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// in [size, channels] -> out [size.half(), channels], both f32 or bf16.
inline void average_pool(const kernels::Context& context, const void* in, DataType type, MapSize size, index_t channels,
                         void* out) {
  const MapSize half = size.half();
  const index_t element = static_cast<index_t>(size_of(type));
  parallel::parallel_for(context.threads, half.pictures * half.height, [&](index_t row) {
    const index_t first = row / half.height * size.height + row % half.height * 2;  // of the two rows that are pooled
    context.kernels->average_pool_2x2(static_cast<const unsigned char*>(in) + first * size.width * channels * element,
                                      type, 2, size.width, channels,
                                      static_cast<unsigned char*>(out) + row * half.width * channels * element);
  });
}

}  // namespace clipon::inline CLIPON_ABI::nn

// Maps of a ResNet in the type that they are kept in, and random layers.
#pragma once

#include <clipon/nn/linear.hpp>
#include <cmath>
#include <cstring>
#include <vector>

#include "support.hpp"

namespace support {

/// The same values in `type`, as bytes.
inline std::vector<unsigned char> stored(clipon::DataType type, const std::vector<float>& values) {
  std::vector<unsigned char> bytes(values.size() * clipon::size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = clipon::float_to_bf16(values[i]);
    std::memcpy(bytes.data() + i * clipon::size_of(type),
                type == clipon::DataType::f32 ? static_cast<const void*>(&values[i]) : &half, clipon::size_of(type));
  }
  return bytes;
}

/// Element i of such bytes.
inline double loaded(clipon::DataType type, const std::vector<unsigned char>& bytes, std::size_t i) {
  float x = 0.0f;
  std::uint16_t half = 0;
  if (type == clipon::DataType::f32) {
    std::memcpy(&x, bytes.data() + i * 4, 4);
    return double{x};
  }
  std::memcpy(&half, bytes.data() + i * 2, 2);
  return double{clipon::bf16_to_float(half)};
}

/// With outputs of a variance of about 1 for inputs of 1, and a bias of 1.
inline clipon::nn::Linear random_linear(const clipon::kernels::Context& context, Random& random, clipon::index_t out,
                                        clipon::index_t in, clipon::DataType type) {
  const auto weights = random.normals(out * in, 1.0f / std::sqrt(static_cast<float>(in)));
  return {clipon::kernels::PackedMatrix(context, {weights.data(), nullptr, clipon::DataType::f32, out, in}, type),
          random.normals(out)};
}

}  // namespace support

// Keys and values of an attention with one query a sequence, from floats.
#pragma once

#include <clipon/nn/single_query_attention.hpp>
#include <vector>

namespace support {

/// key, value [width, width] -> the parts of `attention` that are a head each.
inline void pack_heads(const clipon::nn::Context& context, clipon::nn::SingleQueryAttention& attention,
                       clipon::index_t heads, const std::vector<float>& key, const std::vector<float>& value,
                       const std::vector<float>& value_bias, clipon::DataType type) {
  const auto width = static_cast<clipon::index_t>(value_bias.size());
  const clipon::kernels::StoredMatrix keys{key.data(), nullptr, clipon::DataType::f32, width, width};
  const clipon::kernels::StoredMatrix values{value.data(), nullptr, clipon::DataType::f32, width, width};
  clipon::nn::take_heads(context, attention, heads, value_bias, type);
  for (clipon::index_t h = 0; h < heads; ++h) {
    const auto head = static_cast<std::size_t>(h);
    clipon::nn::pack_head_key(*context.kernels, keys, h, attention.head_key[head]);
    clipon::nn::pack_head_value(*context.kernels, values, h, attention.head_value[head].weight);
  }
}

}  // namespace support

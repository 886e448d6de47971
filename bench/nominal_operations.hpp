// The operations (2 a multiply-add) that a model's towers take as they are published: every token through every layer,
// texts padded to the context.  OpenCLIP's docs/model_profile.csv has the same numbers.  Shares of the peak count
// these, so that work which clipon skips counts in its favour.
#pragma once

#include <clipon/models/config.hpp>

namespace bench {

using clipon::index_t;

inline double transformer_operations(const clipon::models::TransformerConfig& t, index_t tokens) {
  const auto n = static_cast<double>(tokens);
  const auto width = static_cast<double>(t.width);
  const double weights = width * (4.0 * width + 2.0 * static_cast<double>(t.feed_forward));
  return static_cast<double>(t.layers) * (2.0 * n * weights + 4.0 * n * n * width);
}

inline double product_operations(index_t m, index_t n, index_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

inline double operations_a_text(const clipon::models::TextConfig& config) {
  return transformer_operations(config.transformer, config.context_length) +
         product_operations(1, config.embed_dim, config.transformer.width);
}

inline double operations_a_picture(const clipon::models::VisionTransformerConfig& config) {
  const index_t width = config.transformer.width;
  return product_operations(config.tokens() - 1, width, 3 * config.patch_size * config.patch_size) +
         transformer_operations(config.transformer, config.tokens()) + product_operations(1, config.embed_dim, width);
}

inline double operations_a_picture(const clipon::models::ModifiedResNetConfig& config) {
  const index_t width = config.width;
  index_t pixels = config.image_size * config.image_size / 4;
  double sum = product_operations(pixels, width / 2, 9 * 3) + product_operations(pixels, width / 2, 9 * width / 2) +
               product_operations(pixels, width, 9 * width / 2);
  pixels /= 4;
  index_t in = width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const index_t planes = width << stage;
    for (index_t n = 0; n < config.blocks[stage]; ++n, in = 4 * planes) {
      sum += product_operations(pixels, planes, in) + product_operations(pixels, planes, 9 * planes);
      if (n == 0 && stage > 0) pixels /= 4;
      sum += product_operations(pixels, 4 * planes, planes);
      if (n == 0) sum += product_operations(pixels, 4 * planes, in);
    }
  }
  const index_t tokens = config.grid() * config.grid() + 1;  // published as if each were a query of the attention pool
  return sum + product_operations(tokens, 3 * in, in) + product_operations(tokens, 2 * tokens, in) +
         product_operations(tokens, config.embed_dim, in);
}

struct NominalOperations {
  double picture;
  double text;
};

/// Of the model that `file` holds.
inline NominalOperations nominal_operations(const clipon::format::Gguf& file) {
  const bool vit = clipon::models::text_value(file, "clipon.vision.architecture", "vit") == "vit";
  return {vit ? operations_a_picture(clipon::models::read_vision_transformer_config(file))
              : operations_a_picture(clipon::models::read_modified_resnet_config(file)),
          operations_a_text(clipon::models::read_text_config(file))};
}

}  // namespace bench

// The image tower as a Vision Transformer.  Layer 4.
// Radford et al. 2021, 2.4; Dosovitskiy et al. 2020; openai/CLIP clip/model.py, VisionTransformer.forward.
#pragma once

#include <algorithm>
#include <vector>

#include "clipon/models/build.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/image_input.hpp"
#include "clipon/models/passes.hpp"
#include "clipon/nn/transformer.hpp"

namespace clipon::inline CLIPON_ABI::models {

class VisionTransformer {
 public:
  using Config = VisionTransformerConfig;

  struct Weights {
    nn::Linear patch_embedding;               // [width, patch * patch * 3], inputs in the order (y, x, rgb)
    std::vector<float> class_embedding;       // [width]
    std::vector<float> positional_embedding;  // [tokens, width]
    nn::LayerNorm ln_pre;
    nn::Transformer transformer;
    nn::LayerNorm ln_post;
    nn::Linear projection;  // [embed_dim, width]
  };

  VisionTransformer(const Config& config, Builder& build) : config_(config) {
    const auto& t = config.transformer;
    weights_.patch_embedding = build.channels_last("v.patch_embd", t.width, 3, config.patch_size, build.type,
                                                   build.weights.has("v.patch_embd.bias"));
    weights_.class_embedding = build.weights.get_vector("v.class_embd", {t.width});
    weights_.positional_embedding = build.weights.get_vector("v.position_embd.weight", {config.tokens(), t.width});
    weights_.ln_pre = build.layer_norm("v.pre_ln", t.width, t.layer_norm_epsilon);
    weights_.transformer = build.transformer("v", t, false, build.picture_rows);
    weights_.ln_post = build.layer_norm("v.post_ln", t.width, t.layer_norm_epsilon);
    weights_.projection = build.linear("visual_projection", config.embed_dim, t.width, DataType::f32, false);
  }

  [[nodiscard]] index_t image_size() const { return config_.image_size; }
  [[nodiscard]] index_t embed_dim() const { return config_.embed_dim; }

  [[nodiscard]] index_t rows_a_picture() const { return config_.tokens(); }
  [[nodiscard]] PassRows pass_rows(const nn::Context& context) const {
    const DataType type = weights_.transformer.type();
    return {context.kernels->rows_a_pass(type), context.kernels->least_rows_alone(type)};
  }

  [[nodiscard]] index_t scratch_bytes(const nn::Context& context, index_t pictures) const {
    const index_t rows = pictures * stride();
    const index_t width = config_.transformer.width;
    return Scratch::size_for<float>(patches() * patch_floats()) +
           nn::operand_bytes(weights_.patch_embedding.type(), quantised_patches(), patch_floats()) +
           Scratch::size_for<float>(rows * width) + Scratch::size_for<float>(pictures * width) +
           Scratch::size_for<nn::Sequence>(pictures) + Scratch::size_for<index_t>(pictures) +
           nn::TransformerScratch::bytes(context, weights_.transformer, rows, pictures, config_.tokens());
  }

  /// Pictures of one pass -> out [pictures, embed_dim], not normalised.
  void forward(const nn::Context& context, const ImageInput& input, index_t pictures, float* out,
               Scratch& scratch) const {
    const index_t width = config_.transformer.width;
    const index_t tokens = config_.tokens();
    const index_t rows = pictures * stride();
    auto* patch_rows = scratch.take<float>(patches() * patch_floats());  // [patches, patch * patch * 3]
    const nn::OperandRows quantised =
        nn::take_operand(scratch, weights_.patch_embedding.type(), quantised_patches(), patch_floats());
    auto* x = scratch.take<float>(rows * width);             // [pictures, stride, width]
    auto* pooled = scratch.take<float>(pictures * width);    // [pictures, width]
    auto* sequences = scratch.take<nn::Sequence>(pictures);  // [pictures]
    auto* class_rows = scratch.take<index_t>(pictures);      // [pictures]
    const nn::TransformerScratch buffers(context, weights_.transformer, rows, pictures, tokens, scratch);
    const auto count = static_cast<std::size_t>(pictures);

    for (index_t i = 0; i < pictures; ++i) {  // x = [class embedding; patches] + positional embedding
      const index_t row = i * stride();
      float* first = x + row * width;
      const float* position = weights_.positional_embedding.data();
      for (index_t c = 0; c < width; ++c)
        first[c] = weights_.class_embedding[static_cast<std::size_t>(c)] + position[c];
      input.patches(context, i, config_.patch_size, patch_rows);
      const nn::Operand patch_operand = nn::as_operand(context, {patch_rows, patch_floats()}, patches(), patch_floats(),
                                                       weights_.patch_embedding.type(), quantised);
      nn::forward(context, weights_.patch_embedding, patch_operand, patches(),
                  {first + width, width, nn::Activation::none, position + width, width});
      if (tokens < stride()) {  // what nobody reads, but its pair is computed with it
        std::fill_n(first + tokens * width, width, 0.0f);
        buffers.block.clear_attended(row + tokens);
      }
      sequences[i] = {row, tokens, nullptr, tokens};
      class_rows[i] = row;
    }
    nn::forward(context, weights_.ln_pre, x, rows);
    nn::forward(context, weights_.transformer, x, rows, {sequences, count}, {class_rows, count}, pooled, buffers);
    nn::forward(context, weights_.ln_post, pooled, pictures);
    nn::forward(context, weights_.projection, {pooled, width}, pictures, {out, config_.embed_dim});
  }

 private:
  // Rows from one picture to the next: a row more where they must be in pairs and a picture's are odd.
  [[nodiscard]] index_t stride() const {
    const index_t tokens = config_.tokens();
    return weights_.transformer.in_pairs() ? tokens + tokens % 2 : tokens;
  }
  [[nodiscard]] index_t patches() const { return config_.grid() * config_.grid(); }
  [[nodiscard]] index_t quantised_patches() const {
    return weights_.patch_embedding.type() == DataType::f32 ? 0 : patches();
  }
  [[nodiscard]] index_t patch_floats() const { return config_.patch_size * config_.patch_size * 3; }

  Config config_;
  Weights weights_;
};

}  // namespace clipon::inline CLIPON_ABI::models

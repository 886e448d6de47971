#include "random_model.hpp"

#include <array>
#include <cmath>
#include <string>

#include "gguf_writer.hpp"

namespace bench {

namespace {

float root(double x) {
  return static_cast<float>(std::sqrt(x));
}

void add_linear(GgufWriter& file, const std::string& name, index_t outputs, index_t inputs, double gain = 1.0) {
  file.tensor(name + ".weight", {outputs, inputs}, root(gain / static_cast<double>(inputs)));
  file.vector(name + ".bias", {outputs}, 0.02f);
}

void add_layer_norm(GgufWriter& file, const std::string& name, index_t width) {
  file.vector(name + ".weight", {width}, 0.1f, 1.0f);
  file.vector(name + ".bias", {width}, 0.05f);
}

// Deviations of Radford et al. 2021's own initialisation: openai/CLIP clip/model.py, initialize_parameters.
void add_blocks(GgufWriter& file, const std::string& tower, index_t width, index_t layers) {
  const double residual = 1.0 / static_cast<double>(2 * layers);
  for (index_t i = 0; i < layers; ++i) {
    const std::string prefix = tower + ".blk." + std::to_string(i) + ".";
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) add_linear(file, prefix + part, width, width);
    add_linear(file, prefix + "attn_out", width, width, residual);
    add_layer_norm(file, prefix + "ln1", width);
    add_layer_norm(file, prefix + "ln2", width);
    add_linear(file, prefix + "ffn_down", 4 * width, width, 0.5);
    add_linear(file, prefix + "ffn_up", width, 4 * width, 4.0 * residual);
  }
}

void add_transformer_keys(GgufWriter& file, const std::string& tower, index_t width, index_t layers) {
  file.number("clip." + tower + ".embedding_length", width);
  file.number("clip." + tower + ".feed_forward_length", 4 * width);
  file.number("clip." + tower + ".block_count", layers);
  file.number("clip." + tower + ".attention.head_count", width / kHeadWidth);
  file.real("clip." + tower + ".attention.layer_norm_epsilon", 1e-5f);
  file.text("clipon." + tower + ".activation", "quick_gelu");
}

void add_vision_transformer(GgufWriter& file, const Architecture& a) {
  add_transformer_keys(file, "vision", a.width, a.layers[0]);
  file.number("clip.vision.patch_size", a.patch_size);
  file.text("clipon.vision.architecture", "vit");
  file.text("clipon.vision.pooling", "class_token");
  const float deviation = root(1.0 / static_cast<double>(a.width));
  file.tensor("v.patch_embd.weight", {a.width, 3, a.patch_size, a.patch_size},
              root(1.0 / static_cast<double>(3 * a.patch_size * a.patch_size)));
  file.vector("v.class_embd", {a.width}, deviation);
  file.vector("v.position_embd.weight", {a.tokens(), a.width}, deviation);
  add_layer_norm(file, "v.pre_ln", a.width);
  add_blocks(file, "v", a.width, a.layers[0]);
  add_layer_norm(file, "v.post_ln", a.width);
  file.tensor("visual_projection.weight", {a.embed_dim, a.width}, deviation);
}

// He et al. 2015's scale for layers before a ReLU; a small one for what is added to the shortcut.
void add_convolution(GgufWriter& file, const std::string& name, index_t out, index_t in, index_t kernel,
                     float gain = 1.0f) {
  file.tensor(name + ".weight", {out, in, kernel, kernel},
              gain * root(2.0 / static_cast<double>(in * kernel * kernel)));
  file.vector(name + ".bias", {out}, 0.1f * gain);
}

void add_modified_resnet(GgufWriter& file, const Architecture& a) {
  const index_t features = 32 * a.width;
  file.number("clip.vision.embedding_length", features);
  file.number("clip.vision.attention.head_count", features / kHeadWidth);
  file.text("clipon.vision.architecture", "modified_resnet");
  file.text("clipon.vision.activation", "relu");
  file.text("clipon.vision.pooling", "attention_pool");
  file.numbers("clipon.vision.resnet.blocks", {a.layers.begin(), a.layers.end()});
  file.number("clipon.vision.resnet.width", a.width);
  const std::array<index_t, 4> stem = {3, a.width / 2, a.width / 2, a.width};
  for (std::size_t k = 0; k < 3; ++k) add_convolution(file, "v.stem." + std::to_string(k), stem[k + 1], stem[k], 3);
  index_t in = a.width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const index_t planes = a.width << stage;
    for (index_t n = 0; n < a.layers[stage]; ++n, in = 4 * planes) {
      const std::string prefix = "v.stage." + std::to_string(stage) + "." + std::to_string(n) + ".";
      add_convolution(file, prefix + "conv1", planes, in, 1);
      add_convolution(file, prefix + "conv2", planes, planes, 3);
      add_convolution(file, prefix + "conv3", 4 * planes, planes, 1, 0.2f);
      if (n == 0) add_convolution(file, prefix + "downsample", 4 * planes, in, 1, 0.7f);
    }
  }
  file.vector("v.attnpool.position_embd.weight", {a.tokens(), features}, root(1.0 / static_cast<double>(features)));
  for (const char* part : {"q", "k", "v"}) add_linear(file, std::string("v.attnpool.") + part, features, features);
  add_linear(file, "visual_projection", a.embed_dim, features);
}

void add_text_tower(GgufWriter& file, const Architecture& a) {
  file.number("clip.text.context_length", kContextLength);
  file.number("clip.text.projection_dim", a.embed_dim);
  add_transformer_keys(file, "text", a.text_width, kTextLayers);
  file.text("clipon.text.pooling", "eot");
  file.truth("clipon.text.causal", true);
  file.tensor("t.token_embd.weight", {kVocabulary, a.text_width}, 0.02f);
  file.vector("t.position_embd.weight", {kContextLength, a.text_width}, 0.01f);
  add_blocks(file, "t", a.text_width, kTextLayers);
  add_layer_norm(file, "t.post_ln", a.text_width);
  file.tensor("text_projection.weight", {a.embed_dim, a.text_width}, root(1.0 / static_cast<double>(a.text_width)));
}

void add_vocabulary(GgufWriter& file, const clipon::text::TokenizerConfig& given) {
  std::vector<std::string> tokens = given.tokens;
  const std::vector<std::string> ends = {tokens[static_cast<std::size_t>(given.start_token_id)],
                                         tokens[static_cast<std::size_t>(given.end_token_id)]};
  tokens.resize(tokens.size() - 2);  // start and end, the last two
  while (tokens.size() + 2 < static_cast<std::size_t>(kVocabulary)) {
    tokens.push_back("<|unused " + std::to_string(tokens.size()) + "|>");
  }
  tokens.insert(tokens.end(), ends.begin(), ends.end());
  file.texts("tokenizer.ggml.tokens", tokens);
  file.texts("clipon.tokenizer.merges", given.merges);
  file.number("clipon.tokenizer.start_token_id", kVocabulary - 2);
  file.number("clipon.tokenizer.end_token_id", kVocabulary - 1);
  file.text("clipon.tokenizer.cleaning", "ftfy");
}

}  // namespace

std::vector<std::byte> random_model(const Architecture& a, const clipon::text::TokenizerConfig& vocabulary) {
  GgufWriter file;
  file.text("general.architecture", "clip");
  file.text("general.name", std::string(a.name) + " (random weights)");
  file.number("general.file_type", 32);  // bf16
  file.number("clipon.format_version", clipon::format::kFormatVersion);
  file.truth("clip.has_text_encoder", true);
  file.truth("clip.has_vision_encoder", true);
  file.truth("clip.use_gelu", false);
  file.number("clip.vision.image_size", a.image_size);
  file.number("clip.vision.projection_dim", a.embed_dim);
  file.reals("clip.vision.image_mean", {0.48145466f, 0.4578275f, 0.40821073f});  // openai/CLIP clip/clip.py, _transform
  file.reals("clip.vision.image_std", {0.26862954f, 0.26130258f, 0.27577711f});
  file.text("clipon.preprocess.resize_mode", "shortest");
  file.text("clipon.preprocess.interpolation", "bicubic");
  file.real("clipon.logit_scale", std::log(100.0f));
  if (a.is_vit()) {
    add_vision_transformer(file, a);
  } else {
    add_modified_resnet(file, a);
  }
  add_text_tower(file, a);
  add_vocabulary(file, vocabulary);
  return file.finish();
}

}  // namespace bench

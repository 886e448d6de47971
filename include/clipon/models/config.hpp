// What a model file says about its architecture, checked as a whole before any weight is touched.  Layer 4.
// Called by models/registry.hpp, and used by the towers.  The keys are those of docs/model_format.md.
#pragma once

#include <array>
#include <numeric>
#include <string>

#include "clipon/format/gguf.hpp"
#include "clipon/image/preprocess.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::models {

/// The sizes of a Transformer: the whole text tower, and the blocks of a ViT.
struct TransformerConfig {
  index_t width = 0;
  index_t layers = 0;
  index_t heads = 0;
  index_t feed_forward = 0;
  float layer_norm_epsilon = 1e-5f;
  kernels::Activation activation = kernels::Activation::quick_gelu;
};

struct TextConfig {
  TransformerConfig transformer;
  index_t context_length = 0;
  index_t vocabulary = 0;
  index_t embed_dim = 0;
};

struct VisionTransformerConfig {
  TransformerConfig transformer;
  index_t image_size = 0;
  index_t patch_size = 0;
  index_t embed_dim = 0;
  [[nodiscard]] index_t grid() const { return image_size / patch_size; }
  [[nodiscard]] index_t tokens() const { return grid() * grid() + 1; }  // patches and the class token
};

struct ModifiedResNetConfig {
  std::array<index_t, 4> blocks{};  // bottlenecks a stage
  index_t width = 0;                // of the stem
  index_t heads = 0;                // of the attention pool
  index_t image_size = 0;
  index_t embed_dim = 0;
  [[nodiscard]] index_t bottlenecks() const { return std::accumulate(blocks.begin(), blocks.end(), index_t{0}); }
  static constexpr index_t kStride = 32;        // the stem halves a side twice, the last three stages once each
  static constexpr index_t kChannelsGrow = 32;  // stages double them three times, a bottleneck ends with 4 times more
  [[nodiscard]] index_t features() const { return kChannelsGrow * width; }  // channels of the last map
  [[nodiscard]] index_t grid() const { return image_size / kStride; }       // its height and width
};

// Upper bounds of what a file may ask for: far above every published CLIP, far below what would exhaust memory.
constexpr std::uint64_t kMaxWidth = 16384;
constexpr std::uint64_t kMaxLayers = 256;
constexpr std::uint64_t kMaxImageSize = 1024;
constexpr std::uint64_t kMaxContext = 4096;
// What belongs to a head, and the patch embedding, is packed in panels of up to 48 outputs, however few there are.
constexpr std::uint64_t kMaxHeads = 256;
constexpr std::uint64_t kMaxPatchSize = 128;
constexpr index_t kMaxGrid = 64;       // patches along a side: attention takes time by their fourth power
constexpr index_t kMaxExpansion = 16;  // feed_forward over width: activations must not dwarf the weights

constexpr float kLeastEpsilon = 1e-12f;  // the least in use; 0 would divide by the deviation of rows that are all zero

[[noreturn]] inline void reject(ErrorCode code, const std::string& key, const std::string& why) {
  throw Error(code, "metadata key '" + key + "': " + why);
}

inline std::string text_value(const format::Gguf& file, const std::string& key, const std::string& otherwise) {
  return file.strict() || file.has(key) ? std::string(file.get<std::string_view>(key)) : otherwise;
}

/// `value` if it is finite and within [low, high].
inline float within(const std::string& key, double value, double low, double high) {
  if (!is_finite(value) || value < low || value > high) {
    reject(ErrorCode::bad_value, key, "expected " + shown(low) + " to " + shown(high) + ", found " + shown(value));
  }
  return static_cast<float>(value);
}

/// Epsilon, scale and other single numbers.
inline float real(const format::Gguf& file, const std::string& key, double low, double high) {
  return within(key, file.get<double>(key), low, high);
}

inline kernels::Activation read_activation(const format::Gguf& file, const std::string& tower) {
  const std::string key = "clipon." + tower + ".activation";
  // clip.cpp's files only say whether it is GELU, which there means the exact one.
  const bool gelu = !file.strict() && file.has("clip.use_gelu") && file.get<bool>("clip.use_gelu");
  const std::string name = text_value(file, key, gelu ? "gelu" : "quick_gelu");
  if (name == "quick_gelu") return kernels::Activation::quick_gelu;
  if (name == "gelu") return kernels::Activation::gelu;
  if (name == "gelu_tanh") return kernels::Activation::gelu_tanh;
  reject(ErrorCode::bad_value, key, "expected quick_gelu, gelu or gelu_tanh, found '" + name + "'");
}

inline TransformerConfig read_transformer(const format::Gguf& file, const std::string& tower) {
  const std::string prefix = "clip." + tower + ".";
  TransformerConfig config;
  config.width = file.number(prefix + "embedding_length", 1, kMaxWidth);
  config.layers = file.number(prefix + "block_count", 1, kMaxLayers);
  config.heads = file.number(prefix + "attention.head_count", 1, kMaxHeads);
  config.feed_forward = file.number(prefix + "feed_forward_length", 1, kMaxExpansion * kMaxWidth);
  config.layer_norm_epsilon = real(file, prefix + "attention.layer_norm_epsilon", kLeastEpsilon, 1.0);
  config.activation = read_activation(file, tower);
  if (config.feed_forward > kMaxExpansion * config.width) {
    reject(ErrorCode::bad_value, prefix + "feed_forward_length",
           "expected at most " + std::to_string(kMaxExpansion) + " times the width " + std::to_string(config.width) +
               ", found " + std::to_string(config.feed_forward));
  }
  if (config.width % config.heads != 0) {
    reject(
        ErrorCode::bad_value, prefix + "attention.head_count",
        "expected a divisor of the width " + std::to_string(config.width) + ", found " + std::to_string(config.heads));
  }
  return config;
}

// A setting of which clipon computes only one value; a file that asks for another is refused by name.
inline void expect_text(const format::Gguf& file, const std::string& key, const std::string& only) {
  const std::string found = text_value(file, key, only);
  if (found != only) reject(ErrorCode::bad_value, key, "expected '" + only + "', found '" + found + "'");
}

inline TextConfig read_text_config(const format::Gguf& file) {
  TextConfig config;
  config.transformer = read_transformer(file, "text");
  config.context_length = file.number("clip.text.context_length", 2, kMaxContext);
  config.embed_dim = file.number("clip.text.projection_dim", 1, kMaxWidth);
  config.vocabulary = static_cast<index_t>(file.metadata().length("tokenizer.ggml.tokens"));
  expect_text(file, "clipon.text.pooling", "eot");
  if (file.strict() && !file.get<bool>("clipon.text.causal")) {
    reject(ErrorCode::bad_value, "clipon.text.causal", "expected true, found false");
  }
  return config;
}

inline VisionTransformerConfig read_vision_transformer_config(const format::Gguf& file) {
  VisionTransformerConfig config;
  config.transformer = read_transformer(file, "vision");
  config.image_size = file.number("clip.vision.image_size", 1, kMaxImageSize);
  config.patch_size = file.number("clip.vision.patch_size", 1, kMaxPatchSize);
  config.embed_dim = file.number("clip.vision.projection_dim", 1, kMaxWidth);
  expect_text(file, "clipon.vision.pooling", "class_token");
  if (config.image_size % config.patch_size != 0) {
    reject(ErrorCode::bad_value, "clip.vision.patch_size",
           "expected a divisor of the image size " + std::to_string(config.image_size) + ", found " +
               std::to_string(config.patch_size));
  }
  if (config.grid() > kMaxGrid) {
    reject(ErrorCode::limit_exceeded, "clip.vision.patch_size",
           "expected at most " + std::to_string(kMaxGrid) + " patches a side, found " + std::to_string(config.grid()));
  }
  return config;
}

inline ModifiedResNetConfig read_modified_resnet_config(const format::Gguf& file) {
  ModifiedResNetConfig config;
  const auto blocks = file.metadata().numbers("clipon.vision.resnet.blocks");
  if (blocks.size() != 4)
    reject(ErrorCode::bad_shape, "clipon.vision.resnet.blocks",
           "expected 4 numbers, found " + std::to_string(blocks.size()));
  for (std::size_t s = 0; s < 4; ++s) {
    if (blocks[s] < 1 || blocks[s] > kMaxLayers)
      reject(ErrorCode::bad_value, "clipon.vision.resnet.blocks",
             "expected 1 to " + std::to_string(kMaxLayers) + " a stage, found " + std::to_string(blocks[s]));
    config.blocks[s] = static_cast<index_t>(blocks[s]);
  }
  config.width = file.number("clipon.vision.resnet.width", 2, kMaxWidth / ModifiedResNetConfig::kChannelsGrow);
  config.heads = file.number("clip.vision.attention.head_count", 1, kMaxHeads);
  config.image_size = file.number("clip.vision.image_size", ModifiedResNetConfig::kStride, kMaxImageSize);
  config.embed_dim = file.number("clip.vision.projection_dim", 1, kMaxWidth);
  expect_text(file, "clipon.vision.activation", "relu");
  expect_text(file, "clipon.vision.pooling", "attention_pool");
  if (config.width % 2 != 0)
    reject(ErrorCode::bad_value, "clipon.vision.resnet.width",
           "expected an even number, found " + std::to_string(config.width));
  if (config.features() % config.heads != 0)
    reject(ErrorCode::bad_value, "clip.vision.attention.head_count",
           "expected a divisor of " + std::to_string(config.features()) + ", found " + std::to_string(config.heads));
  if (config.image_size % ModifiedResNetConfig::kStride != 0) {
    reject(ErrorCode::bad_value, "clip.vision.image_size",
           "expected a multiple of " + std::to_string(ModifiedResNetConfig::kStride) + ", found " +
               std::to_string(config.image_size));
  }
  return config;
}

inline std::array<float, 3> read_rgb(const format::Gguf& file, const std::string& key, double low, double high) {
  const auto values = file.metadata().reals(key);
  if (values.size() != 3)
    reject(ErrorCode::bad_shape, key, "expected 3 numbers, found " + std::to_string(values.size()));
  std::array<float, 3> rgb{};
  for (std::size_t c = 0; c < 3; ++c) rgb[c] = within(key, values[c], low, high);
  return rgb;
}

inline image::PreprocessConfig read_preprocess_config(const format::Gguf& file) {
  image::PreprocessConfig config;
  config.size = file.number("clip.vision.image_size", 1, kMaxImageSize);
  config.mean = read_rgb(file, "clip.vision.image_mean", -10.0, 10.0);
  config.std = read_rgb(file, "clip.vision.image_std", 1e-3, 1e3);
  const std::string mode = text_value(file, "clipon.preprocess.resize_mode", "shortest");
  const std::string interpolation = text_value(file, "clipon.preprocess.interpolation", "bicubic");
  if (mode != "shortest" && mode != "squash")
    reject(ErrorCode::bad_value, "clipon.preprocess.resize_mode", "expected shortest or squash, found '" + mode + "'");
  if (interpolation != "bicubic" && interpolation != "bilinear")
    reject(ErrorCode::bad_value, "clipon.preprocess.interpolation",
           "expected bicubic or bilinear, found '" + interpolation + "'");
  config.resize_mode = mode == "shortest" ? image::ResizeMode::shortest : image::ResizeMode::squash;
  config.interpolation = interpolation == "bicubic" ? image::Interpolation::bicubic : image::Interpolation::bilinear;
  return config;
}

}  // namespace clipon::inline CLIPON_ABI::models

// From a model file to towers, tokenizer and preprocessing.  Layer 4; called by Model::load.
// Everything that the metadata says is read and checked as a whole before the first weight is touched, all names,
// shapes and types before anything large is read or made.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "clipon/models/build.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/modified_resnet.hpp"
#include "clipon/models/text_transformer.hpp"
#include "clipon/models/vision_transformer.hpp"
#include "clipon/text/recover_merges.hpp"
#include "clipon/text/tokenizer.hpp"

namespace clipon::inline CLIPON_ABI::models {

using ImageTower = std::variant<VisionTransformer, ModifiedResNet>;

/// What a file says about itself; `clipon info` prints it.
struct FileInfo {
  std::string name;
  std::string architecture;  // vit or modified_resnet
  std::string description;
  std::string license;
  std::string source;                    // the file or folder that was converted
  std::string source_url;                // where that came from
  std::string training_data;             // what is known of it
  std::string stored_type;               // of the matrices: f32, f16, bf16, int8 or mixed; empty where it is not said
  bool strict = false;                   // clipon's own format; else clip.cpp's
  std::vector<std::string> assumptions;  // what a lenient file leaves out, and what stands in
  std::uint64_t file_bytes = 0;
  std::uint64_t parameters = 0;
  std::uint32_t fingerprint = 0;  // of all tensors: their checksums' checksum, or that of the bytes
};

struct Scoring {
  float logit_scale = 100.0f;  // exp of what is stored: the factor before the softmax
  float logit_bias = 0.0f;
};

/// A file's content, built.
struct Parts {
  FileInfo info;
  Scoring scoring;
  image::PreprocessConfig preprocess;
  text::Tokenizer tokenizer;
  ImageTower image;
  TextTransformer text;
};

inline std::string optional_text(const format::Gguf& file, const char* key) {
  return file.has(key) ? std::string(file.get<std::string_view>(key)) : std::string();
}

inline const char* stored_type_name(std::uint64_t file_type) {
  switch (file_type) {  // GGUF's general.file_type
    case 0:
      return "f32";
    case 1:
      return "f16";
    case 7:
      return "int8";
    case 32:
      return "bf16";
    default:
      return "mixed";
  }
}

inline std::uint32_t fingerprint_of(const format::Gguf& file, parallel::Threads threads) {
  std::vector<std::uint32_t> checksums;
  if (file.strict()) {
    for (const std::uint64_t crc : file.metadata().numbers("clipon.crc32c")) {
      checksums.push_back(static_cast<std::uint32_t>(crc));
    }
  } else {
    for (const format::TensorInfo& tensor : file.tensors()) {
      checksums.push_back(format::check_tensor(tensor, {true, false}, threads).crc32c);
    }
  }
  return format::crc32c(std::as_bytes(std::span(checksums)));
}

inline FileInfo read_info(const format::Gguf& file, std::uint64_t file_bytes) {
  FileInfo info;
  info.name = optional_text(file, "general.name");
  info.architecture = text_value(file, "clipon.vision.architecture", "vit");
  info.description = optional_text(file, "general.description");
  info.license = optional_text(file, "general.license");
  info.source = optional_text(file, "clipon.source");
  info.source_url = optional_text(file, "general.source.url");
  info.training_data = optional_text(file, "clipon.training_data");
  info.stored_type =
      file.has("general.file_type") ? stored_type_name(file.get<std::uint64_t>("general.file_type")) : "";
  info.strict = file.strict();
  info.file_bytes = file_bytes;
  for (const format::TensorInfo& tensor : file.tensors()) {
    if (tensor.name.ends_with(".scale")) continue;
    std::uint64_t elements = 1;
    for (const index_t extent : tensor.shape) elements *= static_cast<std::uint64_t>(extent);
    info.parameters += elements;
  }
  return info;
}

inline text::TokenizerConfig read_tokenizer_config(const format::Gguf& file, const TextConfig& config, FileInfo& info) {
  text::TokenizerConfig tokenizer;
  tokenizer.tokens = file.metadata().strings("tokenizer.ggml.tokens");
  tokenizer.context_length = config.context_length;
  if (!file.strict()) {
    tokenizer.merges = text::recover_merges(tokenizer.tokens);
    tokenizer.end_token_id = static_cast<std::int32_t>(config.vocabulary - 1);
    tokenizer.start_token_id = std::max(tokenizer.end_token_id - 1, 0);
    info.assumptions.push_back(std::to_string(tokenizer.merges.size()) + " merges, recovered from the vocabulary");
    info.assumptions.emplace_back("start and end of text: the last two tokens");
    return tokenizer;
  }
  const std::string cleaning(file.get<std::string_view>("clipon.tokenizer.cleaning"));
  if (cleaning != "ftfy" && cleaning != "basic") {
    reject(ErrorCode::bad_value, "clipon.tokenizer.cleaning", "expected ftfy or basic, found '" + cleaning + "'");
  }
  tokenizer.cleaning = cleaning == "ftfy" ? text::Cleaning::ftfy : text::Cleaning::basic;
  tokenizer.merges = file.metadata().strings("clipon.tokenizer.merges");
  const auto last = static_cast<std::uint64_t>(config.vocabulary - 1);
  tokenizer.start_token_id = static_cast<std::int32_t>(file.number("clipon.tokenizer.start_token_id", 0, last));
  tokenizer.end_token_id = static_cast<std::int32_t>(file.number("clipon.tokenizer.end_token_id", 0, last));
  return tokenizer;
}

inline Scoring read_scoring(const format::Gguf& file, FileInfo& info) {
  Scoring scoring;
  if (file.strict()) {
    // e^-10 .. e^10; training keeps it between 0 and ln 100 (Radford et al. 2021, 2.5)
    scoring.logit_scale = std::exp(real(file, "clipon.logit_scale", -10.0, 10.0));
    if (file.has("clipon.logit_bias")) scoring.logit_bias = real(file, "clipon.logit_bias", -1e4, 1e4);
  } else {
    info.assumptions.emplace_back("logit scale 100");
  }
  return scoring;
}

/// Everything in `file`, checked and packed for `context`, to be computed in `type`.  Throws Error, naming the key or
/// tensor.
inline Parts build_parts(const format::Gguf& file, const LoadOptions& options, const nn::Context& context,
                         DataType type, std::uint64_t file_bytes) {
  const std::string kind(file.get<std::string_view>("general.architecture"));
  if (kind != "clip") reject(ErrorCode::bad_value, "general.architecture", "expected clip, found '" + kind + "'");
  if (file.strict()) (void)file.number("clipon.format_version", format::kFormatVersion, format::kFormatVersion);
  for (const char* tower : {"clip.has_text_encoder", "clip.has_vision_encoder"}) {
    if (!file.get<bool>(tower)) reject(ErrorCode::unsupported, tower, "expected both towers, found one");
  }
  FileInfo info = read_info(file, file_bytes);
  const TextConfig text_config = read_text_config(file);
  const image::PreprocessConfig preprocess = read_preprocess_config(file);
  const Scoring scoring = read_scoring(file, info);
  const auto check_embed_dim = [&](index_t image_dim) {
    if (image_dim != text_config.embed_dim) {
      reject(ErrorCode::bad_value, "clip.vision.projection_dim",
             "expected " + std::to_string(text_config.embed_dim) + " as in the text tower, found " +
                 std::to_string(image_dim));
    }
  };
  const auto build_towers = [&](format::Weights::Pass pass) -> std::pair<ImageTower, TextTransformer> {
    format::Weights weights(file, options, pass, context.threads);
    WeightMemory memory;
    Builder build{weights, context, type};
    build.context.memory = &memory;
    const auto build_image_tower = [&]() -> ImageTower {
      if (info.architecture == "vit") {
        const VisionTransformerConfig config = read_vision_transformer_config(file);
        check_embed_dim(config.embed_dim);
        return VisionTransformer(config, build);
      }
      if (info.architecture == "modified_resnet") {
        const ModifiedResNetConfig config = read_modified_resnet_config(file);
        check_embed_dim(config.embed_dim);
        return ModifiedResNet(config, build);
      }
      reject(ErrorCode::bad_value, "clipon.vision.architecture",
             "expected vit or modified_resnet, found '" + info.architecture + "'");
    };
    ImageTower image_tower = build_image_tower();
    TextTransformer text_tower(text_config, build);
    build.finish();
    return {std::move(image_tower), std::move(text_tower)};
  };
  (void)build_towers(format::Weights::Pass::shapes);
  text::Tokenizer tokenizer(read_tokenizer_config(file, text_config, info), context.threads);
  info.fingerprint = fingerprint_of(file, context.threads);
  auto [image_tower, text_tower] = build_towers(format::Weights::Pass::data);
  return {std::move(info), scoring, preprocess, std::move(tokenizer), std::move(image_tower), std::move(text_tower)};
}

}  // namespace clipon::inline CLIPON_ABI::models

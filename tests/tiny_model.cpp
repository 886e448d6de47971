#include "tiny_model.hpp"

#include <clipon/core/types.hpp>
#include <clipon/text/bpe.hpp>

namespace support {

namespace {

// Numbers in -1..1 that look random and are the same everywhere (Knuth's 64-bit linear congruential generator).
class Noise {
 public:
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) / 2147483648.0f;
  }

 private:
  std::uint64_t state_ = 1;
};

std::uint16_t to_f16(float value) {  // by rounding the fraction down: exact enough for weights below 1
  if (value == 0.0f) return 0;
  int exponent = 0;
  const float fraction = std::frexp(std::fabs(value), &exponent);
  const int biased = exponent + 14;
  if (biased <= 0) return 0;
  const auto bits = static_cast<std::uint16_t>((biased << 10) | (static_cast<int>(fraction * 2048.0f) & 0x3ff));
  return static_cast<std::uint16_t>(bits | (value < 0 ? 0x8000 : 0));
}

class Writer {
 public:
  Writer(ModelFile& file, std::uint32_t type) : file_(file), type_(type) {}

  void vector(const std::string& name, const std::vector<std::uint64_t>& shape, float base = 0.0f) {
    std::vector<float> values(product(shape));
    for (float& v : values) v = base + 0.2f * noise_.next();
    file_.tensor(name, shape, values);
  }
  void matrix(const std::string& name, const std::vector<std::uint64_t>& shape) {
    std::uint32_t type = type_;
    if (type == kTensorI8 && name == "t.token_embd.weight") type = kTensorF16;  // as the converter does
    if (type == kTensorQ8 && shape.back() % 32 != 0) type = kTensorF16;
    Tensor tensor{name, shape, {}, type, {}, {}};
    const std::size_t n = product(shape);
    for (std::size_t i = 0; i < n; ++i) {
      const float value = 0.3f * noise_.next();
      const auto byte = static_cast<std::int8_t>(value * 400.0f);
      if (type == kTensorF32) tensor.data += raw(value);
      if (type == kTensorF16) tensor.data += raw(to_f16(value));
      if (type == kTensorBf16) tensor.data += raw(clipon::float_to_bf16(value));
      if (type == kTensorI8) tensor.data += raw(byte);
      if (type == kTensorQ8) tensor.data += (i % 32 == 0 ? raw(to_f16(1.0f / 400.0f)) : std::string()) + raw(byte);
    }
    file_.tensors.push_back(tensor);
    if (type == kTensorI8) file_.tensor(name + ".scale", {shape[0]}, std::vector<float>(shape[0], 1.0f / 400.0f));
  }
  void linear(const std::string& name, std::uint64_t out, std::uint64_t in) {
    matrix(name + ".weight", {out, in});
    vector(name + ".bias", {out});
  }
  void norm(const std::string& name, std::uint64_t width) {
    vector(name + ".weight", {width}, 1.0f);
    vector(name + ".bias", {width});
  }
  void conv(const std::string& name, std::uint64_t out, std::uint64_t in, std::uint64_t kernel) {
    matrix(name + ".weight", {out, in, kernel, kernel});
    vector(name + ".bias", {out});
  }

 private:
  static std::size_t product(const std::vector<std::uint64_t>& shape) {
    std::size_t n = 1;
    for (const auto extent : shape) n *= static_cast<std::size_t>(extent);
    return n;
  }

  ModelFile& file_;
  std::uint32_t type_;
  Noise noise_;
};

void add_blocks(Writer& out, const std::string& tower, const TinyShape& shape) {
  for (std::uint64_t i = 0; i < shape.layers; ++i) {
    const std::string block = tower + ".blk." + std::to_string(i) + ".";
    out.norm(block + "ln1", shape.width);
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      out.linear(block + name, shape.width, shape.width);
    }
    out.norm(block + "ln2", shape.width);
    out.linear(block + "ffn_down", shape.feed_forward, shape.width);
    out.linear(block + "ffn_up", shape.width, shape.feed_forward);
  }
}

void add_resnet(Writer& out, const TinyShape& shape) {
  const std::uint64_t w = shape.stem;
  out.conv("v.stem.0", w / 2, 3, 3);
  out.conv("v.stem.1", w / 2, w / 2, 3);
  out.conv("v.stem.2", w, w / 2, 3);
  std::uint64_t in = w;
  for (std::uint64_t s = 0; s < 4; ++s) {
    const std::string stage = "v.stage." + std::to_string(s) + ".0.";
    const std::uint64_t planes = w << s;
    out.conv(stage + "conv1", planes, in, 1);
    out.conv(stage + "conv2", planes, planes, 3);
    out.conv(stage + "conv3", 4 * planes, planes, 1);
    out.conv(stage + "downsample", 4 * planes, in, 1);
    in = 4 * planes;
  }
  const std::uint64_t grid = shape.image_size / 32;
  out.vector("v.attnpool.position_embd.weight", {grid * grid + 1, in});
  for (const char* name : {"v.attnpool.q", "v.attnpool.k", "v.attnpool.v"}) out.linear(name, in, in);
  out.linear("visual_projection", shape.embed_dim, in);
}

void add_vit(Writer& out, const TinyShape& shape) {
  const std::uint64_t grid = shape.image_size / shape.patch_size;
  out.matrix("v.patch_embd.weight", {shape.width, 3, shape.patch_size, shape.patch_size});
  out.vector("v.class_embd", {shape.width});
  out.vector("v.position_embd.weight", {grid * grid + 1, shape.width});
  out.norm("v.pre_ln", shape.width);
  add_blocks(out, "v", shape);
  out.norm("v.post_ln", shape.width);
  out.matrix("visual_projection.weight", {shape.embed_dim, shape.width});
}

void add_sizes(ModelFile& file, const std::string& tower, const TinyShape& shape, bool transformer) {
  const std::string prefix = "clip." + tower + ".";
  const auto u32 = [&](const char* name, std::uint64_t value) {
    file.u32(prefix + name, static_cast<std::uint32_t>(value));
  };
  u32("embedding_length", transformer ? shape.width : 32 * shape.stem);
  u32("attention.head_count", shape.heads);
  u32("projection_dim", shape.embed_dim);
  if (!transformer) return;
  u32("feed_forward_length", shape.feed_forward);
  u32("block_count", shape.layers);
  file.f32(prefix + "attention.layer_norm_epsilon", 1e-5f);
}

void add_own_keys(ModelFile& file, const TinyShape& shape) {
  file.text("clipon.vision.architecture", shape.resnet ? "modified_resnet" : "vit");
  file.text("clipon.vision.activation", shape.resnet ? "relu" : "quick_gelu").text("clipon.text.activation", "gelu");
  file.text("clipon.vision.pooling", shape.resnet ? "attention_pool" : "class_token")
      .text("clipon.text.pooling", "eot");
  file.boolean("clipon.text.causal", true).f32("clipon.logit_scale", 4.6052f).f32("clipon.logit_bias", 0.0f);
  file.text("clipon.preprocess.resize_mode", "shortest").text("clipon.preprocess.interpolation", "bicubic");
  file.text("clipon.tokenizer.cleaning", "ftfy").strings("clipon.tokenizer.merges", tiny_merges());
  const auto end = static_cast<std::uint32_t>(tiny_tokens().size() - 1);
  file.u32("clipon.tokenizer.start_token_id", end - 1).u32("clipon.tokenizer.end_token_id", end);
  if (shape.resnet) {
    file.numbers("clipon.vision.resnet.blocks", kU32, std::vector<std::uint32_t>{1, 1, 1, 1});
    file.u32("clipon.vision.resnet.width", static_cast<std::uint32_t>(shape.stem));
  }
}

}  // namespace

const std::vector<std::string>& tiny_merges() {
  static const std::vector<std::string> merges = {"a t</w>", "c at</w>", "d o", "do g</w>", "t h", "th e</w>"};
  return merges;
}

std::vector<std::string> tiny_tokens() {
  std::vector<std::string> tokens;
  for (const char* end : {"", "</w>"}) {
    for (const std::string& letter : clipon::text::byte_alphabet()) tokens.push_back(letter + end);
  }
  for (const std::string& merge : tiny_merges()) {
    const std::size_t blank = merge.find(' ');
    tokens.push_back(merge.substr(0, blank) + merge.substr(blank + 1));
  }
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  return tokens;
}

ModelFile tiny_model(const TinyShape& shape) {
  ModelFile file;
  file.text("general.architecture", "clip").text("general.name", "tiny").u32("general.file_type", 0);
  file.boolean("clip.has_text_encoder", true).boolean("clip.has_vision_encoder", true);
  file.boolean("clip.use_gelu", false);
  file.u32("clip.text.context_length", static_cast<std::uint32_t>(shape.context));
  add_sizes(file, "text", shape, true);
  file.u32("clip.vision.image_size", static_cast<std::uint32_t>(shape.image_size));
  if (!shape.resnet) file.u32("clip.vision.patch_size", static_cast<std::uint32_t>(shape.patch_size));
  add_sizes(file, "vision", shape, !shape.resnet);
  file.numbers("clip.vision.image_mean", kF32, std::vector<float>{0.5f, 0.4f, 0.3f});
  file.numbers("clip.vision.image_std", kF32, std::vector<float>{0.25f, 0.3f, 0.35f});
  file.strings("tokenizer.ggml.tokens", tiny_tokens());
  if (shape.strict) add_own_keys(file, shape);
  Writer out(file, shape.type);
  if (shape.resnet) {
    add_resnet(out, shape);
  } else {
    add_vit(out, shape);
  }
  out.matrix("t.token_embd.weight", {tiny_tokens().size(), shape.width});
  out.vector("t.position_embd.weight", {shape.context, shape.width});
  add_blocks(out, "t", shape);
  out.norm("t.post_ln", shape.width);
  out.matrix("text_projection.weight", {shape.embed_dim, shape.width});
  return shape.strict ? file.seal() : file;
}

}  // namespace support

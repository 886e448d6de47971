// The least and the greatest that a model file may say, what stands in for what a lenient one leaves out, and what a
// file tells of itself.
#include <array>
#include <clipon/models/registry.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "support.hpp"
#include "tiny_model.hpp"

using namespace clipon;

namespace {

using Reader = std::function<void(const format::Gguf&)>;

const Reader kText = [](const format::Gguf& file) { (void)models::read_text_config(file); };
const Reader kVit = [](const format::Gguf& file) { (void)models::read_vision_transformer_config(file); };
const Reader kResNet = [](const format::Gguf& file) { (void)models::read_modified_resnet_config(file); };
const Reader kPreprocess = [](const format::Gguf& file) { (void)models::read_preprocess_config(file); };
const Reader kScoring = [](const format::Gguf& file) {
  models::FileInfo info;
  (void)models::read_scoring(file, info);
};

struct Edge {
  std::string key;
  double good, bad;
};

Edge below(const std::string& key, float least) {
  return {key, double{least}, double{std::nextafter(least, -INFINITY)}};
}
Edge above(const std::string& key, float most) {
  return {key, double{most}, double{std::nextafter(most, INFINITY)}};
}

// Sets every number of a key that holds one or three.
void set_numbers(support::Key& key, double value) {
  const std::string number = key.type == support::kU32 ? support::raw(static_cast<std::uint32_t>(value))
                                                       : support::raw(static_cast<float>(value));
  const std::size_t first = key.type == support::kArray ? 4 + 8 : 0;
  for (std::size_t at = first; at < key.value.size(); at += 4) key.value.replace(at, 4, number);
}

// The file's tensors need not fit: only what its metadata says is read.
void check_edges(const Reader& read, const support::ModelFile& base, std::initializer_list<Edge> edges) {
  for (const Edge& edge : edges) {
    CAPTURE(edge.key);
    CAPTURE(edge.good);
    support::ModelFile file = base;
    set_numbers(file.key_named(edge.key), edge.good);
    const auto good = file.bytes();
    CHECK_NOTHROW(read(format::Gguf(good, {})));
    set_numbers(file.key_named(edge.key), edge.bad);
    const auto bad = file.bytes();
    std::string what;
    try {
      read(format::Gguf(bad, {}));
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::bad_value);
      what = error.what();
    }
    CHECK(what.starts_with("metadata key '" + edge.key + "': expected "));
  }
}

// All ones, which go with the least and the greatest of any other number.
support::TinyShape ones() {
  support::TinyShape shape;
  shape.width = shape.heads = shape.feed_forward = shape.embed_dim = 1;
  shape.image_size = shape.patch_size = 1;
  return shape;
}

}  // namespace

TEST_CASE("each number of a Transformer and of the pictures has a least and a greatest, which are read") {
  const support::ModelFile file = support::tiny_model(ones());
  for (const std::string tower : {"text", "vision"}) {
    const std::string prefix = "clip." + tower + ".";
    check_edges(tower == "text" ? kText : kVit, file,
                {{prefix + "embedding_length", 1, 0},
                 {prefix + "embedding_length", 16384, 16385},
                 {prefix + "block_count", 1, 0},
                 {prefix + "block_count", 256, 257},
                 {prefix + "attention.head_count", 1, 0},
                 {prefix + "feed_forward_length", 1, 0},
                 {prefix + "feed_forward_length", 16, 17},
                 {prefix + "projection_dim", 1, 0},
                 {prefix + "projection_dim", 16384, 16385},
                 below(prefix + "attention.layer_norm_epsilon", 1e-12f),
                 above(prefix + "attention.layer_norm_epsilon", 1.0f)});
  }
  check_edges(kText, file, {{"clip.text.context_length", 2, 1}, {"clip.text.context_length", 4096, 4097}});
  check_edges(kVit, file, {{"clip.vision.image_size", 1, 0}, {"clip.vision.patch_size", 1, 0}});
  check_edges(kPreprocess, file,
              {{"clip.vision.image_size", 1, 0},
               {"clip.vision.image_size", 1024, 1025},
               below("clip.vision.image_mean", -10.0f),
               above("clip.vision.image_mean", 10.0f),
               below("clip.vision.image_std", 1e-3f),
               above("clip.vision.image_std", 1e3f)});
  check_edges(kScoring, file,
              {below("clipon.logit_scale", -10.0f), above("clipon.logit_scale", 10.0f),
               below("clipon.logit_bias", -1e4f), above("clipon.logit_bias", 1e4f)});
  const Reader tokenizer = [](const format::Gguf& read) {
    models::FileInfo info;
    (void)models::read_tokenizer_config(read, models::read_text_config(read), info);
  };
  const auto vocabulary = static_cast<double>(support::tiny_tokens().size());
  check_edges(tokenizer, file,
              {{"clipon.tokenizer.start_token_id", vocabulary - 1, vocabulary},
               {"clipon.tokenizer.end_token_id", vocabulary - 1, vocabulary}});
  support::TinyShape large = ones();
  large.image_size = 1024;
  large.patch_size = 128;
  large.width = 512;
  const support::ModelFile limits = support::tiny_model(large);
  check_edges(kVit, limits,
              {{"clip.vision.image_size", 1024, 1025},
               {"clip.vision.patch_size", 128, 256},
               {"clip.vision.attention.head_count", 256, 512}});
  check_edges(kText, limits, {{"clip.text.attention.head_count", 256, 512}});
  support::TinyShape fine = ones();
  fine.image_size = 64;
  const auto patches = support::tiny_model(fine).bytes();
  CHECK(models::read_vision_transformer_config(format::Gguf(patches, {})).grid() == 64);
}

TEST_CASE("each number of a ModifiedResNet has a least and a greatest, which are read") {
  support::TinyShape shape;
  shape.resnet = true;
  shape.image_size = 32;
  shape.heads = 1;
  check_edges(kResNet, support::tiny_model(shape),
              {{"clipon.vision.resnet.width", 2, 1},
               {"clipon.vision.resnet.width", 512, 514},
               {"clip.vision.attention.head_count", 1, 0},
               {"clip.vision.attention.head_count", 64, 128},  // of 32 times the stem's width 2
               {"clip.vision.image_size", 32, 31},
               {"clip.vision.image_size", 1024, 1056},
               {"clip.vision.projection_dim", 1, 0},
               {"clip.vision.projection_dim", 16384, 16385}});
  support::TinyShape wide = shape;
  wide.stem = 16;
  check_edges(kResNet, support::tiny_model(wide), {{"clip.vision.attention.head_count", 256, 512}});
  support::ModelFile file = support::tiny_model(shape);
  const std::string blocks = "clipon.vision.resnet.blocks";
  std::erase_if(file.keys, [&](const support::Key& key) { return key.name == blocks; });
  const auto bytes = file.numbers(blocks, support::kU32, std::vector<std::uint32_t>{256, 1, 2, 256}).bytes();
  CHECK(models::read_modified_resnet_config(format::Gguf(bytes, {})).blocks == std::array<index_t, 4>{256, 1, 2, 256});
}

TEST_CASE("what clip.cpp's files leave out is OpenAI's, and is told") {
  support::TinyShape shape;
  shape.strict = false;
  support::ModelFile made = support::tiny_model(shape);
  std::erase_if(made.keys, [](const support::Key& key) { return key.name == "clip.use_gelu"; });
  const auto bytes = made.bytes();
  const format::Gguf file(bytes, {});
  CHECK(models::read_text_config(file).transformer.activation == kernels::Activation::quick_gelu);
  const auto preprocess = models::read_preprocess_config(file);
  CHECK(preprocess.resize_mode == image::ResizeMode::shortest);
  CHECK(preprocess.interpolation == image::Interpolation::bicubic);
  const Model model = Model::load_from_memory(bytes);
  CHECK(model.logit_scale() == 100.0f);
  CHECK(model.tokenizer().config().cleaning == text::Cleaning::ftfy);
  CHECK_FALSE(model.info().strict);
  CHECK(model.info().assumptions == std::vector<std::string>{"logit scale 100",
                                                             "6 merges, recovered from the vocabulary",
                                                             "start and end of text: the last two tokens"});
}

TEST_CASE("a file tells its name, its source and the type of its matrices") {
  support::ModelFile made = support::tiny_model();
  for (const char* key : {"general.description", "general.license", "clipon.source", "clipon.training_data"}) {
    made.text(key, std::string("the value of ") + key);
  }
  const auto info_of = [&](std::uint32_t type) {
    set_numbers(made.key_named("general.file_type"), type);
    const auto bytes = made.bytes();
    const Model model = Model::load_from_memory(bytes);
    CHECK(model.info().file_bytes == bytes.size());
    return model.info();
  };
  const models::FileInfo info = info_of(0);
  CHECK(info.name == "tiny");
  CHECK(info.description == "the value of general.description");
  CHECK(info.license == "the value of general.license");
  CHECK(info.source == "the value of clipon.source");
  CHECK(info.training_data == "the value of clipon.training_data");
  CHECK(info.strict);
  CHECK(info.assumptions.empty());
  CHECK(info.stored_type == "f32");
  CHECK(info_of(1).stored_type == "f16");
  CHECK(info_of(7).stored_type == "int8");
  CHECK(info_of(32).stored_type == "bf16");
  CHECK(info_of(2).stored_type == "mixed");
}

TEST_CASE("each block has its tower's epsilon, heads and mask") {
  support::TinyShape shape;
  shape.layers = 3;
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  for (const bool causal : {true, false}) {
    models::TransformerConfig config = models::read_text_config(file).transformer;
    config.layer_norm_epsilon = 0.25f;
    format::Weights weights(file, {});
    models::Builder build{weights, {&kernels::select_table(Isa::best), {1}}};
    const nn::Transformer built = build.transformer("t", config, causal, kernels::Rows::single);
    REQUIRE(built.blocks.size() == 2);
    for (const auto& block : built.blocks) {
      CHECK(block.ln_1.epsilon == 0.25f);
      CHECK(block.ln_2.epsilon == 0.25f);
      CHECK(block.attention.heads == 2);
      CHECK(block.attention.causal == causal);
    }
    CHECK(built.last_block.ln_1.epsilon == 0.25f);
    CHECK(built.last_block.ln_2.epsilon == 0.25f);
  }
}

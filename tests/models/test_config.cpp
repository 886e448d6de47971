// What a model file chooses is what is done: each choice, not only the one that OpenAI's files make.
#include <clipon/models/registry.hpp>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "embeddings.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

using namespace clipon;

TEST_CASE("a file's choices are read as they stand") {
  support::ModelFile file = support::tiny_model();
  const auto set = [&](const std::string& name, const std::string& value) {
    file.key_named(name) = {name, support::kString, support::sized(value)};
  };
  set("clipon.preprocess.resize_mode", "squash");
  set("clipon.preprocess.interpolation", "bilinear");
  set("clipon.text.activation", "gelu_tanh");
  set("clipon.vision.activation", "gelu");
  set("clipon.tokenizer.cleaning", "basic");
  file.key_named("clipon.logit_scale") = {"clipon.logit_scale", support::kF32, support::raw(1.5f)};
  file.key_named("clipon.logit_bias") = {"clipon.logit_bias", support::kF32, support::raw(-2.5f)};
  const auto bytes = file.bytes();
  const format::Gguf gguf(bytes, LoadOptions{});
  const auto preprocess = models::read_preprocess_config(gguf);
  CHECK(preprocess.resize_mode == image::ResizeMode::squash);
  CHECK(preprocess.interpolation == image::Interpolation::bilinear);
  const auto text = models::read_text_config(gguf);
  CHECK(text.transformer.activation == kernels::Activation::gelu_tanh);
  CHECK(models::read_vision_transformer_config(gguf).transformer.activation == kernels::Activation::gelu);
  models::FileInfo info;
  CHECK(models::read_tokenizer_config(gguf, text, info).cleaning == text::Cleaning::basic);
  CHECK(models::read_scoring(gguf, info).logit_scale == std::exp(1.5f));
  CHECK(models::read_scoring(gguf, info).logit_bias == -2.5f);

  const Model model = Model::load_from_memory(bytes);
  support::Random random(11);
  const Matrix images = support::unit_rows(random, 2, model.embed_dim());
  const Matrix cosines = similarity(model, images, images);
  CHECK(double{logits(model, images, images)(0, 1)} ==
        doctest::Approx(double{model.logit_scale()} * double{cosines(0, 1)} - 2.5));
}

TEST_CASE("each tower computes with the activation and the epsilon that the file names for it") {
  const auto embed = [](const std::string& tower, const support::Key& key) {
    support::ModelFile file = support::tiny_model();
    file.key_named(key.name) = key;
    const Model model = Model::load_from_memory(file.bytes());
    if (tower == "text") return Matrix(model.embed_text("a cat").transpose());
    return model.embed_pixels(support::Random(12).normals(3 * model.image_size() * model.image_size()), 1);
  };
  for (const std::string tower : {"text", "vision"}) {
    const auto with = [&](const std::string& activation) {
      return embed(tower, {"clipon." + tower + ".activation", support::kString, support::sized(activation)});
    };
    const Matrix quick = with("quick_gelu");
    const Matrix exact = with("gelu");
    const Matrix by_tanh = with("gelu_tanh");
    CHECK((by_tanh - exact).norm() > 0.0f);
    CHECK((quick - exact).norm() > 2.0f * (by_tanh - exact).norm());  // 0.02 from GELU at most, the other 0.0005
    const auto of_epsilon = [&](float epsilon) {
      return embed(tower, {"clip." + tower + ".attention.layer_norm_epsilon", support::kF32, support::raw(epsilon)});
    };
    CHECK((of_epsilon(0.5f) - of_epsilon(1e-5f)).norm() > 1e-3f);
  }
}

TEST_CASE("clip.cpp's files say that they use GELU; their start and end are the last two tokens") {
  support::TinyShape shape;
  shape.strict = false;
  support::ModelFile file = support::tiny_model(shape);
  file.key_named("clip.use_gelu") = {"clip.use_gelu", support::kBool, std::string(1, '\x01')};
  const auto bytes = file.bytes();
  const format::Gguf gguf(bytes, LoadOptions{});
  const auto text = models::read_text_config(gguf);
  CHECK(text.transformer.activation == kernels::Activation::gelu);
  models::FileInfo info;
  const auto tokenizer = models::read_tokenizer_config(gguf, text, info);
  CHECK(tokenizer.end_token_id == text.vocabulary - 1);
  CHECK(tokenizer.start_token_id == text.vocabulary - 2);
  CHECK(tokenizer.merges == support::tiny_merges());
}

TEST_CASE("a file's parameters are counted without the scales of int8 rows") {
  support::TinyShape shape;
  const auto floats = support::tiny_model(shape).bytes();
  shape.type = support::kTensorI8;
  const auto bytes = support::tiny_model(shape).bytes();
  const auto count = [](const std::vector<std::byte>& file) {
    return models::read_info(format::Gguf(file, LoadOptions{}), file.size()).parameters;
  };
  CHECK(count(bytes) == count(floats));
}

TEST_CASE("models of clip.cpp's format are told apart by their weights") {
  support::TinyShape shape;
  shape.strict = false;
  support::ModelFile file = support::tiny_model(shape);
  const Model first = Model::load_from_memory(file.bytes());
  std::string& data = file.tensor_named("v.post_ln.weight").data;
  data.replace(data.size() - 4, 4, support::raw(0.5f));
  const Model second = Model::load_from_memory(file.bytes());
  CHECK(first.info().fingerprint == Model::load_from_memory(support::tiny_model(shape).bytes()).info().fingerprint);
  CHECK(first.info().fingerprint != second.info().fingerprint);
}

TEST_CASE("a model keeps its token table of bytes, and the scales, when the file's memory is gone") {
  const std::string name = "t.token_embd.weight";
  support::ModelFile floats = support::tiny_model();
  support::ModelFile file = floats;
  const auto shape = file.tensor_named(name).shape;
  std::string bytes;
  std::string products;
  std::vector<float> scales;
  for (std::uint64_t row = 0; row < shape[0]; ++row) {
    scales.push_back(0.001f + 1e-5f * static_cast<float>(row));
    for (std::uint64_t i = 0; i < shape[1]; ++i) {
      const auto byte = static_cast<std::int8_t>(static_cast<int>((37 * row + 11 * i) % 255) - 127);
      bytes += support::raw(byte);
      products += support::raw(static_cast<float>(byte) * scales.back());
    }
  }
  floats.tensor_named(name).data = products;
  file.tensor_named(name).data = bytes;
  file.tensor_named(name).type = support::kTensorI8;
  file.tensor(name + ".scale", {shape[0]}, scales);
  auto memory = file.seal().bytes();
  const Model model = Model::load_from_memory(memory);
  std::fill(memory.begin(), memory.end(), std::byte{0x7f});
  CHECK(model.embed_text("a cat") == Model::load_from_memory(floats.seal().bytes()).embed_text("a cat"));
}

TEST_CASE("a bias of the patches, where a file has one, is what more would be in their positions") {
  support::TinyShape shape;
  support::Random random(13);
  const auto bias = random.normals(static_cast<index_t>(shape.width));
  support::ModelFile with_bias = support::tiny_model(shape);
  with_bias.tensor("v.patch_embd.bias", {shape.width}, bias);
  support::ModelFile moved = support::tiny_model(shape);
  std::string& positions = moved.tensor_named("v.position_embd.weight").data;
  for (std::size_t i = shape.width; i < positions.size() / 4; ++i) {  // all but the class token's
    float value = 0.0f;
    std::memcpy(&value, positions.data() + 4 * i, 4);
    positions.replace(4 * i, 4, support::raw(value + bias[i % shape.width]));
  }
  const auto embed = [&](support::ModelFile& file) {
    const Model model = Model::load_from_memory(file.seal().bytes());
    return model.embed_pixels(support::Random(14).normals(3 * model.image_size() * model.image_size()), 1);
  };
  support::ModelFile without = support::tiny_model(shape);
  const Matrix expected = embed(moved);
  CHECK((embed(with_bias) - expected).norm() < 1e-5f);  // f32's mark
  CHECK((embed(without) - expected).norm() > 1e-2f);
}

TEST_CASE("all names and shapes are checked before the first weight is read") {
  support::ModelFile file = support::tiny_model();
  file.tensors.pop_back();
  file.seal();
  file.tensors.front().data[0] ^= 1;  // not what its checksum is of
  const auto bytes = file.bytes();
  CHECK(support::code_of([&] { (void)Model::load_from_memory(bytes); }) == ErrorCode::missing_key);
}

TEST_CASE("what a file asks for and nobody can do is refused by the key's name") {
  const auto text = [](const std::string& name, const std::string& value) {
    return support::Key{name, support::kString, support::sized(value)};
  };
  const auto u32 = [](const std::string& name, std::uint32_t value) {
    return support::Key{name, support::kU32, support::raw(value)};
  };
  const auto f32 = [](const std::string& name, float value) {
    return support::Key{name, support::kF32, support::raw(value)};
  };
  const auto boolean = [](const std::string& name) { return support::Key{name, support::kBool, std::string(1, '\0')}; };
  const auto array = [](const std::string& name, std::uint32_t type, const auto& values) {
    return support::ModelFile().numbers(name, type, values).keys.front();
  };
  const std::string blocks = "clipon.vision.resnet.blocks";
  const auto stages = [&](const std::vector<std::uint32_t>& values) { return array(blocks, support::kU32, values); };
  const auto rgb = [&](const std::string& name, const std::vector<float>& values) {
    return array(name, support::kF32, values);
  };
  const auto vocabulary = static_cast<std::uint32_t>(support::tiny_tokens().size());
  const std::string rgb_std = "clip.vision.image_std";
  const std::pair<support::Key, ErrorCode> of_both[] = {
      {text("general.architecture", "bert"), ErrorCode::bad_value},
      {u32("clipon.format_version", 0), ErrorCode::bad_value},
      {u32("clipon.format_version", 2), ErrorCode::bad_value},
      {boolean("clip.has_text_encoder"), ErrorCode::unsupported},
      {boolean("clip.has_vision_encoder"), ErrorCode::unsupported},
      {text("clipon.vision.architecture", "mixer"), ErrorCode::bad_value},
      {u32("clip.vision.projection_dim", 9), ErrorCode::bad_value},
      {u32("clip.vision.projection_dim", 7), ErrorCode::bad_value},
      {text("clipon.text.pooling", "mean"), ErrorCode::bad_value},
      {text("clipon.vision.pooling", "mean"), ErrorCode::bad_value},
      {boolean("clipon.text.causal"), ErrorCode::bad_value},
      {u32("clip.text.attention.head_count", 3), ErrorCode::bad_value},
      {u32("clip.text.feed_forward_length", 16 * 16 + 1), ErrorCode::bad_value},
      {f32("clip.text.attention.layer_norm_epsilon", NAN), ErrorCode::bad_value},
      {f32("clipon.logit_scale", 10.5f), ErrorCode::bad_value},
      {text("clipon.preprocess.resize_mode", "longest"), ErrorCode::bad_value},
      {text("clipon.preprocess.interpolation", "nearest"), ErrorCode::bad_value},
      {rgb("clip.vision.image_mean", {0.5f, 0.5f, 0.5f, 0.5f}), ErrorCode::bad_shape},
      {rgb("clip.vision.image_mean", {0.5f, 0.5f}), ErrorCode::bad_shape},
      {rgb(rgb_std, {0.5f, 0.0f, 0.5f}), ErrorCode::bad_value},
      {text("clipon.tokenizer.cleaning", "none"), ErrorCode::bad_value},
      {u32("clipon.tokenizer.start_token_id", vocabulary), ErrorCode::bad_value},
      {u32("clipon.tokenizer.end_token_id", vocabulary), ErrorCode::bad_value},
  };
  const std::pair<support::Key, ErrorCode> of_vit[] = {{u32("clip.vision.patch_size", 3), ErrorCode::bad_value}};
  const std::pair<support::Key, ErrorCode> of_65_pixels[] = {
      {u32("clip.vision.patch_size", 1), ErrorCode::limit_exceeded}};
  const std::pair<support::Key, ErrorCode> of_resnet[] = {
      {stages({1, 1, 1}), ErrorCode::bad_shape},
      {stages({1, 1, 1, 1, 1}), ErrorCode::bad_shape},
      {stages({1, 0, 1, 1}), ErrorCode::bad_value},
      {stages({1, 1, 1, 257}), ErrorCode::bad_value},
      {u32("clipon.vision.resnet.width", 3), ErrorCode::bad_value},
      {u32("clip.vision.attention.head_count", 3), ErrorCode::bad_value},
      {u32("clip.vision.image_size", 48), ErrorCode::bad_value},
      {text("clipon.vision.activation", "gelu"), ErrorCode::bad_value},
  };
  const auto check = [](const support::TinyShape& shape, std::span<const std::pair<support::Key, ErrorCode>> cases) {
    for (const auto& wrong : cases) {
      const support::Key& key = wrong.first;
      CAPTURE(key.name);
      support::ModelFile file = support::tiny_model(shape);
      file.key_named(key.name) = key;
      const auto bytes = file.bytes();
      std::string what;
      CHECK(support::code_of([&] {
              try {
                (void)Model::load_from_memory(bytes);
              } catch (const Error& error) {
                what = error.what();
                throw;
              }
            }) == wrong.second);
      CHECK(what.find("'" + key.name + "'") != std::string::npos);
    }
  };
  support::TinyShape resnet;
  resnet.resnet = true;
  resnet.image_size = 32;
  for (const support::TinyShape& shape : {support::TinyShape{}, resnet}) check(shape, of_both);
  check({}, of_vit);
  support::TinyShape large_patch;
  large_patch.image_size = large_patch.patch_size = 65;
  check(large_patch, of_65_pixels);
  check(resnet, of_resnet);
}

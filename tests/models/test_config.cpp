// What a model file chooses is what is done: each choice, not only the one that OpenAI's files make.
#include <clipon/models/registry.hpp>

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
  CHECK(models::read_scoring(gguf, info).logit_bias == -2.5f);

  const Model model = Model::load_from_memory(bytes);
  support::Random random(11);
  const Matrix images = support::unit_rows(random, 2, model.embed_dim());
  const Matrix cosines = similarity(model, images, images);
  CHECK(double{logits(model, images, images)(0, 1)} ==
        doctest::Approx(double{model.logit_scale()} * double{cosines(0, 1)} - 2.5));
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
  file.tensor_named("v.post_ln.weight").data.replace(0, 4, support::raw(0.5f));
  const Model second = Model::load_from_memory(file.bytes());
  CHECK(first.info().fingerprint == Model::load_from_memory(support::tiny_model(shape).bytes()).info().fingerprint);
  CHECK(first.info().fingerprint != second.info().fingerprint);
}

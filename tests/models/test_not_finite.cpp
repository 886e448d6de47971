// A weight that is no number reaches every embedding that it has a part in, on every ISA and in every precision:
// neither ReLU nor rounding to bytes may make a number of it.
#include <bit>
#include <clipon/clipon.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support.hpp"
#include "tiny_model.hpp"

namespace {

using namespace clipon;

// On every ISA and in every precision.
template <class Check>
void for_each_model(const std::vector<std::byte>& file, const Check& check) {
  support::for_each_isa([&](const kernels::KernelTable& table) {
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      CAPTURE(precision);
      LoadOptions options;
      options.isa = table.isa;
      options.precision = precision;
      options.threads = 1;
      options.allow_non_finite = true;
      check(Model::load_from_memory(file, options));
    }
  });
}

// A softmax over two keys, some and many, of pictures whose values are small, large and below 0.
void check_embeddings(const Model& model, char tower) {
  if (tower == 't') {
    for (const std::string text : {"", "a", "ab ab", "ab ab ab ab ab ab"}) {
      CAPTURE(text);
      CHECK(support::code_of([&] { (void)model.embed_text(text); }) == ErrorCode::not_finite);
    }
  } else {
    const std::size_t values = 3 * static_cast<std::size_t>(model.image_size() * model.image_size());
    for (const float value : {0.01f, 0.5f, -1.7f}) {
      CAPTURE(value);
      CHECK(support::code_of([&] { (void)model.embed_pixels(std::vector<float>(values, value), 1); }) ==
            ErrorCode::not_finite);
    }
  }
}

// Each tensor of the image tower in turn with `bad` in its middle.
void check_every_weight(const support::TinyShape& shape, float bad) {
  const support::ModelFile good = support::tiny_model(shape);
  const std::vector<float> pixels(3 * shape.image_size * shape.image_size, 0.5f);
  for (const support::Tensor& tensor : good.tensors) {
    // one query's keys share their bias, which its softmax does not see and clipon leaves out
    const bool unseen = tensor.name == "v.attnpool.k.bias" || tensor.name == "v.blk.1.attn_k.bias";
    if (!tensor.name.starts_with("v.") || unseen) continue;
    CAPTURE(tensor.name);
    support::ModelFile wrong = good;
    std::string& data = wrong.tensor_named(tensor.name).data;
    data.replace(data.size() / 8 * 4, 4, support::raw(bad));
    for_each_model(wrong.seal().bytes(), [&](const Model& model) {
      CHECK(support::code_of([&] { (void)model.embed_pixels(pixels, 1); }) == ErrorCode::not_finite);
    });
  }
}

}  // namespace

TEST_CASE("a weight that is NaN makes the embedding NaN, which is refused") {
  support::TinyShape vit;
  vit.layers = 2;
  support::TinyShape resnet;
  resnet.resnet = true;
  resnet.image_size = 64;
  resnet.stem = 8;
  const float full_payload = std::bit_cast<float>(0x7fffffffu);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), full_payload}) {
    check_every_weight(vit, bad);
    check_every_weight(resnet, bad);
  }
}

TEST_CASE("scores of attention that are no numbers are none of their softmax") {
  const support::ModelFile good = support::tiny_model();
  for (const support::Tensor& tensor : good.tensors) {
    const bool in_attention =
        tensor.name.find(".attn_q.") != std::string::npos || tensor.name.find(".attn_k.weight") != std::string::npos;
    if (!in_attention || tensor.name.find("blk.0.") == std::string::npos) continue;
    CAPTURE(tensor.name);
    support::ModelFile wrong = good;
    std::string& data = wrong.tensor_named(tensor.name).data;
    for (std::size_t i = 0; i < data.size(); i += 4) {
      data.replace(i, 4, support::raw(std::numeric_limits<float>::quiet_NaN()));
    }
    for_each_model(wrong.seal().bytes(), [&](const Model& model) { check_embeddings(model, tensor.name[0]); });
  }
}

TEST_CASE("scores of attention that leave the floats, of weights that are finite, make the embedding none") {
  for (const std::string tower : {"t", "v"}) {
    support::ModelFile file = support::tiny_model();
    for (const char* part : {".blk.0.attn_q.weight", ".blk.0.attn_k.weight"}) {
      std::string& data = file.tensor_named(tower + part).data;
      for (std::size_t i = 0; i < data.size(); i += 4) {
        float value = 0;
        std::memcpy(&value, data.data() + i, 4);
        data.replace(i, 4, support::raw(value * 1e24f));
      }
    }
    for_each_model(file.seal().bytes(), [&](const Model& model) { check_embeddings(model, tower[0]); });
  }
}

TEST_CASE("numbers that would make one are refused: an epsilon of 0, a scale below 0") {
  const auto code = [](support::ModelFile& file) {
    const auto bytes = file.seal().bytes();
    return support::code_of([&] { (void)Model::load_from_memory(bytes); });
  };
  for (const std::string tower : {"vision", "text"}) {
    support::ModelFile file = support::tiny_model();
    const std::string key = "clip." + tower + ".attention.layer_norm_epsilon";
    file.key_named(key).value = support::raw(0.0f);
    CHECK_THROWS_WITH_AS((void)Model::load_from_memory(file.seal().bytes()),
                         ("metadata key '" + key + "': expected 1e-12 to 1, found 0").c_str(), Error);
  }
  support::TinyShape shape;
  shape.type = support::kTensorI8;
  support::ModelFile file = support::tiny_model(shape);
  file.tensor_named("v.blk.0.ffn_down.weight.scale").data.replace(0, 4, support::raw(-0.5f));
  CHECK(code(file) == ErrorCode::bad_value);
}

// A weight that is no number reaches every embedding that it has a part in, on every ISA and in every precision:
// neither ReLU nor rounding to bytes may make a number of it.
#include <bit>
#include <clipon/clipon.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support.hpp"
#include "tiny_model.hpp"

namespace {

using namespace clipon;

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
    const auto file = wrong.seal().bytes();
    support::for_each_isa([&](const kernels::KernelTable& table) {
      for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
        CAPTURE(precision);
        LoadOptions options;
        options.isa = table.isa;
        options.precision = precision;
        options.threads = 1;
        options.allow_non_finite = true;
        const Model model = Model::load_from_memory(file, options);
        CHECK(support::code_of([&] { (void)model.embed_pixels(pixels, 1); }) == ErrorCode::not_finite);
      }
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

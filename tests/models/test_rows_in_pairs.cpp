// A Vision Transformer wide enough for products of rows in pairs, with odd and even tokens a picture, in f32 and in
// integers of 16 bits.
#include <clipon/models/vision_transformer.hpp>

#include "built_tower.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "tiny_model.hpp"

using namespace clipon;
using namespace clipon::models;

namespace {

support::TinyShape wide_shape(std::uint64_t image_size, std::uint64_t feed_forward = 512) {
  support::TinyShape shape;
  shape.width = 256;
  shape.feed_forward = feed_forward;
  shape.layers = 3;
  shape.heads = 4;
  shape.image_size = image_size;  // patches of 4 pixels
  shape.embed_dim = 16;
  return shape;
}

void check_tower(const support::TinyShape& shape, DataType type) {
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  const auto config = read_vision_transformer_config(file);
  constexpr index_t pictures = 3;
  support::Random random(67);
  const auto pixels = random.normals(pictures * 3 * config.image_size * config.image_size);
  CAPTURE(config.tokens());
  support::for_each_isa_and_tiles([&](const kernels::KernelTable& table) {
    const DataType operand = kernels::operand_type(table, type);
    if (operand != DataType::f32 && operand != DataType::i16) return;  // rows are single
    const support::BuiltTower<VisionTransformer> tower(config, file, table, type, 1);
    const auto found = tower.embed(pixels, 0, pictures);
    for (const int threads : {2, 3}) {
      const support::BuiltTower<VisionTransformer> shared(config, file, table, type, threads);
      CHECK(shared.embed(pixels, 0, pictures) == found);
      shared.check_alone(pixels, found);
    }
    const index_t n = config.embed_dim;
    const support::BuiltTower<VisionTransformer> single(config, file, table, type, 1, kernels::Rows::single);
    const auto expected = single.embed(pixels, 0, pictures);
    tower.check_alone(pixels, found);
    if (operand == DataType::i16) {  // whole numbers: pairs change no bit
      CHECK(expected == found);
      return;
    }
    CHECK(expected != found);
    const auto row = [&](const std::vector<float>& rows, index_t p) {
      return Eigen::Map<const Eigen::VectorXf>(rows.data() + p * n, n).cast<double>().eval();
    };
    for (index_t p = 0; p < pictures; ++p) {  // within f32's mark
      CHECK((row(found, p) - row(expected, p)).norm() <= 1e-5 * row(expected, p).norm());
    }
  });
}

}  // namespace

TEST_CASE("rows in pairs: embeddings are single rows', and the same bits alone, in a batch and at any thread count") {
  // bf16 where its weights are widened, int8 where it is computed in 16 bits
  for (const DataType type : {DataType::f32, DataType::bf16, DataType::i8}) {
    check_tower(wide_shape(8), type);      // 5 tokens: a row more
    check_tower(wide_shape(12), type);     // 10
    check_tower(wide_shape(8, 64), type);  // all products of a block but its last
  }
}

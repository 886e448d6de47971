// Rows of a pass that threads keep through the layers of a Transformer.
#include <clipon/models/vision_transformer.hpp>

#include "built_tower.hpp"
#include "kernels/operands.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "tiny_model.hpp"

using namespace clipon;
using namespace clipon::models;

TEST_CASE("rows are shared where each thread has enough of them, but not in f32") {
  const kernels::KernelTable& table = *kernels::built_table(Isa::scalar);
  for (const DataType type : {DataType::bf16, DataType::i8}) {
    for (const int threads : {2, 3, 9}) {
      const index_t least = table.least_row_share(type, threads);
      CHECK(nn::shares_rows({&table, {threads}}, type, threads * least));
      CHECK_FALSE(nn::shares_rows({&table, {threads}}, type, threads * least - 1));
      CHECK(least <= table.least_rows_alone(type));
    }
    CHECK_FALSE(nn::shares_rows({&table, {1}}, type, 1000));
  }
  CHECK_FALSE(nn::shares_rows({&table, {2}}, DataType::f32, 10000));
}

TEST_CASE("rows that threads share come out as on one thread, to the bit: every type, every ISA and tiles") {
  support::TinyShape shape;
  shape.width = 24;
  shape.feed_forward = 88;  // wider and narrower than a panel, and bytes that need padding
  shape.layers = 3;
  shape.embed_dim = 8;
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  const auto config = read_vision_transformer_config(file);
  const index_t tokens = config.tokens();
  support::for_each_isa_and_tiles([&](const kernels::KernelTable& table) {
    support::Random random(61);
    for (const DataType type : support::kProductTypes) {
      for (const int threads : {2, 3}) {
        const support::BuiltTower<VisionTransformer> together(config, file, table, type, threads);
        const support::BuiltTower<VisionTransformer> alone(config, file, table, type, 1);
        const DataType operand = kernels::operand_type(table, type);
        const index_t pictures = threads * table.least_row_share(operand, threads) / tokens + 2;
        CAPTURE(threads);
        CAPTURE(pictures);
        CHECK(nn::shares_rows(together.context, operand, pictures * tokens) == (operand != DataType::f32));
        const auto size = static_cast<index_t>(shape.image_size);
        const auto pixels = random.normals(pictures * 3 * size * size);
        CHECK(together.embed(pixels, 0, pictures) == alone.embed(pixels, 0, pictures));
      }
    }
  });
}

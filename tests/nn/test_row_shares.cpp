// Rows of a pass that threads keep through the layers of a Transformer.
#include <clipon/models/vision_transformer.hpp>

#include "kernels/operands.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "tiny_model.hpp"

using namespace clipon;
using namespace clipon::models;

namespace {

// n pictures in one pass -> their embeddings.
std::vector<float> embed(const format::Gguf& file, const nn::Context& context, DataType type,
                         const std::vector<float>& pixels, index_t n) {
  const VisionTransformer::Config config = read_vision_transformer_config(file);
  format::Weights weights(file, {});
  Builder build{weights, context, type};
  const VisionTransformer tower(config, build);
  ImageInput input;
  input.floats = pixels.data();
  input.size = config.image_size;
  std::vector<float> out(static_cast<std::size_t>(n * config.embed_dim));
  Scratch scratch;
  scratch.reset(tower.scratch_bytes(context, n));
  tower.forward(context, input, n, out.data(), scratch);
  return out;
}

}  // namespace

TEST_CASE("rows are shared where each thread has enough of them, but not in f32") {
  const kernels::KernelTable& table = *kernels::built_table(Isa::scalar);
  for (const DataType type : {DataType::bf16, DataType::i8}) {
    for (const int threads : {2, 3, 9}) {
      const index_t least = table.least_row_share(type, threads);
      CHECK(nn::row_shares({&table, {threads}}, type, threads * least) == threads);
      CHECK(nn::row_shares({&table, {threads}}, type, threads * least - 1) == 1);
      CHECK(least <= table.least_rows_alone(type));
    }
    CHECK(nn::row_shares({&table, {1}}, type, 1000) == 1);
  }
  CHECK(nn::row_shares({&table, {2}}, DataType::f32, 10000) == 1);
}

TEST_CASE("rows that threads share come out as on one thread, to the bit: every type, every ISA and tiles") {
  support::TinyShape shape;
  shape.width = 24;
  shape.feed_forward = 88;  // wider and narrower than a panel, and bytes that need padding
  shape.layers = 3;
  shape.embed_dim = 8;
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  const index_t tokens = read_vision_transformer_config(file).tokens();
  support::for_each_isa_and_tiles([&](const kernels::KernelTable& table) {
    support::Random random(61);
    for (const DataType type : support::kProductTypes) {
      for (const int threads : {2, 3}) {
        const nn::Context context{&table, {threads}};
        const index_t pictures = threads * table.least_row_share(type, threads) / tokens + 2;
        CAPTURE(threads);
        CAPTURE(pictures);
        CHECK((nn::row_shares(context, type, pictures * tokens) == threads) == (type != DataType::f32));
        const auto size = static_cast<index_t>(shape.image_size);
        const auto pixels = random.normals(pictures * 3 * size * size);
        CHECK(embed(file, context, type, pixels, pictures) == embed(file, context.alone(), type, pixels, pictures));
      }
    }
  });
}

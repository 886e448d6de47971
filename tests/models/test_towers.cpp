// Whole image towers on every instruction set that this CPU has, and as CPUs with AMX or with VNNI alone compute them.
#include <clipon/models/modified_resnet.hpp>
#include <clipon/models/vision_transformer.hpp>

#include "built_tower.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "tiny_model.hpp"

using namespace clipon;
using namespace clipon::models;

namespace {

constexpr index_t kPictures = 3;

std::vector<float> random_pictures(index_t image_size) {
  return support::Random(51).normals(kPictures * 3 * image_size * image_size);
}

// The least cosine of a picture with `expected`, and the same bits one by one and on two threads.
template <class Tower>
double check(const typename Tower::Config& config, const format::Gguf& file, const kernels::KernelTable& table,
             DataType type, const std::vector<float>& expected) {
  const auto pixels = random_pictures(config.image_size);
  const support::BuiltTower<Tower> built(config, file, table, type, 1);
  const support::BuiltTower<Tower> shared(config, file, table, type, 2);
  const auto found = built.embed(pixels, 0, kPictures);
  CHECK(shared.embed(pixels, 0, kPictures) == found);
  built.check_alone(pixels, found);
  const index_t n = config.embed_dim;
  double least = 1.0;
  for (index_t p = 0; p < kPictures; ++p) {
    const auto unit = [&](const std::vector<float>& rows) {
      return Eigen::Map<const Eigen::VectorXf>(rows.data() + p * n, n).cast<double>().normalized().eval();
    };
    least = std::min(least, unit(found).dot(unit(expected)));
  }
  return least;
}

// docs/precision.md: bf16's mark is the same for both towers.
template <class Tower>
void check_marks(const typename Tower::Config& config, const format::Gguf& file, double int8) {
  const support::BuiltTower<Tower> exact(config, file, *kernels::built_table(Isa::scalar), DataType::f32, 1);
  const auto expected = exact.embed(random_pictures(config.image_size), 0, kPictures);
  support::for_each_isa_and_tiles([&](const kernels::KernelTable& table) {
    CHECK(check<Tower>(config, file, table, DataType::bf16, expected) >= 0.9999);
    CHECK(check<Tower>(config, file, table, DataType::i8, expected) >= int8);
  });
}

}  // namespace

TEST_CASE(
    "every ISA and tiles: a ModifiedResNet with wide and narrow convolutions is within the marks of its precision") {
  support::TinyShape shape;
  shape.resnet = true;
  shape.stem = 32;  // 32 to 256 channels: bf16 and, from 128 on, bytes
  shape.image_size = 64;
  shape.embed_dim = 32;
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  check_marks<ModifiedResNet>(read_modified_resnet_config(file), file, 0.9995);
}

TEST_CASE("every ISA and tiles: a VisionTransformer is within the marks of its precision") {
  support::TinyShape shape;
  shape.width = 64;
  shape.feed_forward = 256;
  shape.layers = 2;
  shape.image_size = 32;
  shape.embed_dim = 32;
  const auto bytes = support::tiny_model(shape).bytes();
  const format::Gguf file(bytes, {});
  check_marks<VisionTransformer>(read_vision_transformer_config(file), file, 0.998);  // what any ViT must reach
}

TEST_CASE(
    "every ISA and tiles: a ModifiedResNet of an odd number of channels, or a head, is within the marks as well") {
  support::TinyShape shape;
  shape.resnet = true;
  shape.image_size = 32;
  for (const auto& [stem, heads] : {std::pair{2, 2}, std::pair{8, 256}}) {  // one channel; heads of one
    shape.stem = static_cast<std::uint64_t>(stem);
    shape.heads = static_cast<std::uint64_t>(heads);
    shape.width = shape.heads;  // of the text tower, which has as many
    const auto bytes = support::tiny_model(shape).bytes();
    const format::Gguf file(bytes, {});
    check_marks<ModifiedResNet>(read_modified_resnet_config(file), file, 0.998);
  }
}

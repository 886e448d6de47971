// What a model computes in: what it was told, or what `automatic` comes to.
#include <clipon/clipon.hpp>
#include <clipon/kernels/profile.hpp>

#include "support.hpp"
#include "tiny_model.hpp"

using clipon::Precision;
using clipon::models::fastest_precision;

TEST_CASE("automatic takes the fastest type that the kernels have and that the tower's depth bears") {
  clipon::kernels::KernelTable kernels = clipon::kernels::select_table(clipon::Isa::best);
  kernels.fast_i8 = true;
  kernels.bf16_runs_as = clipon::DataType::bf16;
  CHECK(fastest_precision(kernels, 0) == Precision::int8);
  CHECK(fastest_precision(kernels, 4 + 6 + 10 + 6) == Precision::int8);  // RN50x4
  CHECK(fastest_precision(kernels, 3 + 4 + 23 + 3) == Precision::bf16);  // RN101
  CHECK(fastest_precision(kernels, 4 + 6 + 10 + 6 + 1) == Precision::bf16);
  CHECK(fastest_precision(kernels, 6 + 8 + 18 + 8) == Precision::bf16);  // RN50x16
  CHECK(fastest_precision(kernels, 6 + 8 + 18 + 8 + 1) == Precision::f32);
  CHECK(fastest_precision(kernels, 3 + 15 + 36 + 10) == Precision::f32);  // RN50x64
  kernels.fast_i8 = false;
  CHECK(fastest_precision(kernels, 0) == Precision::bf16);
  kernels.bf16_runs_as = clipon::DataType::f32;
  CHECK(fastest_precision(kernels, 0) == Precision::f32);
}

TEST_CASE("automatic counts the bottlenecks that a file tells of") {
  clipon::kernels::KernelTable kernels = clipon::kernels::select_table(clipon::Isa::best);
  kernels.fast_i8 = true;
  kernels.bf16_runs_as = clipon::DataType::bf16;
  support::TinyShape shape;
  shape.resnet = true;
  shape.image_size = 32;
  const auto automatic = [&](const std::vector<std::uint32_t>& blocks) {
    support::ModelFile file = support::tiny_model(shape);
    std::erase_if(file.keys, [](const support::Key& key) { return key.name == "clipon.vision.resnet.blocks"; });
    const auto bytes = file.numbers("clipon.vision.resnet.blocks", support::kU32, blocks).bytes();
    return clipon::models::select_precision(Precision::automatic, kernels, clipon::format::Gguf(bytes, {}));
  };
  CHECK(automatic({4, 6, 10, 6}) == Precision::int8);
  CHECK(automatic({3, 4, 23, 3}) == Precision::bf16);
  CHECK(automatic({3, 15, 36, 10}) == Precision::f32);
  const auto bytes = support::tiny_model(shape).bytes();
  for (const Precision wanted : {Precision::f32, Precision::bf16, Precision::int8}) {
    CHECK(clipon::models::select_precision(wanted, kernels, clipon::format::Gguf(bytes, {})) == wanted);
  }
  CHECK_THROWS_WITH_AS(
      (void)clipon::models::select_precision(static_cast<Precision>(77), kernels, clipon::format::Gguf(bytes, {})),
      "precision: expected f32, bf16, int8 or automatic, found number 77", clipon::Error);
}

TEST_CASE("a model says what automatic came to") {
  clipon::LoadOptions options;
  options.precision = Precision::automatic;
  const auto model = clipon::Model::load_demo(options);
  const auto& kernels = clipon::kernels::select_table(clipon::Isa::best);
  CHECK(model.precision() == fastest_precision(kernels, 0));
}

TEST_CASE(
    "a model computes in the precision that it was told: most products are of its type, on every instruction set") {
  const auto bytes = support::tiny_model().bytes();
  support::for_each_isa([&](const clipon::kernels::KernelTable& table) {
    clipon::LoadOptions options;
    options.isa = table.isa;
    options.threads = 1;
    const auto exact = clipon::Model::load_from_memory(bytes, options).embed_text("a cat");
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8, Precision::automatic}) {
      clipon::Profile profile;
      options.precision = precision;
      options.profile = &profile;
      const auto model = clipon::Model::load_from_memory(bytes, options);
      const auto found = model.embed_text("a cat");
      const std::vector<float> pixels(static_cast<std::size_t>(3 * model.image_size() * model.image_size()), 0.5f);
      (void)model.embed_pixels(pixels, 1);
      const Precision runs = model.precision();
      if (precision != Precision::automatic) CHECK(runs == precision);
      const clipon::DataType type = runs == Precision::int8   ? table.int8_runs_as
                                    : runs == Precision::bf16 ? table.bf16_runs_as
                                                              : clipon::DataType::f32;
      double all = 0.0;
      double of_type = 0.0;
      for (const clipon::OperatorTime& time : profile.times()) {
        if (std::string_view(time.name) != "gemm") continue;
        all += time.operations;
        if (time.type == type) of_type += time.operations;
      }
      CHECK(of_type > 0.5 * all);
      CHECK((found == exact) == (runs == Precision::f32));  // weights of bf16 differ, also where rows are f32
    }
  });
}

// What `automatic` computes in.
#include <clipon/clipon.hpp>

#include "support.hpp"

using clipon::Precision;
using clipon::models::fastest_precision;

TEST_CASE("automatic takes the fastest type that the kernels have and that the tower's depth bears") {
  clipon::kernels::KernelTable kernels = clipon::kernels::select_table(clipon::Isa::best);
  kernels.fast_i8 = true;
  kernels.halves = clipon::DataType::bf16;
  CHECK(fastest_precision(kernels, 0) == Precision::int8);
  CHECK(fastest_precision(kernels, 4 + 6 + 10 + 6) == Precision::int8);   // RN50x4
  CHECK(fastest_precision(kernels, 3 + 4 + 23 + 3) == Precision::bf16);   // RN101
  CHECK(fastest_precision(kernels, 6 + 8 + 18 + 8) == Precision::bf16);   // RN50x16
  CHECK(fastest_precision(kernels, 3 + 15 + 36 + 10) == Precision::f32);  // RN50x64
  kernels.fast_i8 = false;
  CHECK(fastest_precision(kernels, 0) == Precision::bf16);
  kernels.halves = clipon::DataType::f32;
  CHECK(fastest_precision(kernels, 0) == Precision::f32);
}

TEST_CASE("a model says what automatic came to") {
  clipon::LoadOptions options;
  options.precision = Precision::automatic;
  const auto model = clipon::Model::load_demo(options);
  const auto& kernels = clipon::kernels::select_table(clipon::Isa::best);
  CHECK(model.precision() == fastest_precision(kernels, 0));
}

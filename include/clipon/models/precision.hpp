// What a model computes in where the caller leaves it open.  Layer 4; called by Model::load and ModifiedResNet.
#pragma once

#include "clipon/kernels/table.hpp"
#include "clipon/models/config.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::models {

// A residual network adds each bottleneck's rounding to what it hands on, so its error grows with their number.  With
// made-up weights RN50x4 (26) is the deepest that int8 leaves within the documented accuracy, RN50x16 (40) that bf16
// does: docs/precision.md.
constexpr index_t kMostBottlenecksInt8 = 26;
constexpr index_t kMostBottlenecksBf16 = 40;

/// The fastest type that these kernels have an instruction for and that keeps the documented accuracy; a tower without
/// bottlenecks keeps it in every type.
inline Precision fastest_precision(const kernels::KernelTable& kernels, index_t bottlenecks) {
  if (kernels.fast_i8 && bottlenecks <= kMostBottlenecksInt8) return Precision::int8;
  if (kernels.bf16_runs_as == DataType::bf16 && bottlenecks <= kMostBottlenecksBf16) return Precision::bf16;
  return Precision::f32;
}

/// Throws Error invalid_argument for a number that is none of the enum's.
inline Precision select_precision(Precision wanted, const kernels::KernelTable& kernels, const format::Gguf& file) {
  if (wanted == Precision::f32 || wanted == Precision::bf16 || wanted == Precision::int8) return wanted;
  if (wanted != Precision::automatic) {
    throw Error(ErrorCode::invalid_argument, "precision: expected f32, bf16, int8 or automatic, found number " +
                                                 std::to_string(static_cast<int>(wanted)));
  }
  index_t bottlenecks = 0;
  if (text_value(file, "clipon.vision.architecture", "vit") == "modified_resnet") {
    bottlenecks = read_modified_resnet_config(file).bottlenecks();
  }
  return fastest_precision(kernels, bottlenecks);
}

}  // namespace clipon::inline CLIPON_ABI::models

// Layer normalisation over the width of each row.  Layer 3.  torch.nn.LayerNorm; CLIP computes it in float32.
#pragma once

#include <vector>

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::nn {

struct LayerNorm {
  std::vector<float> gain;  // [width]
  std::vector<float> bias;  // [width]
  float epsilon = 1e-5f;
};

/// x [rows, width], contiguous -> out [rows, width] in any type; f32 rows may be x itself.
inline void forward(const kernels::Context& context, const LayerNorm& norm, const float* x, index_t rows,
                    const kernels::OperandRows& out) {
  const auto width = static_cast<index_t>(norm.gain.size());
  const auto span = context.timed({"layer_norm", out.type, width, 0, 0, static_cast<double>(rows)});
  constexpr index_t least = 8;  // rows a thread: some 2 us at width 768, what handing them out costs
  parallel::parallel_ranges(context.threads, rows, least, [&](index_t first, index_t count) {
    context.kernels->layer_norm({x + first * width, width, count, width, norm.gain.data(), norm.bias.data(),
                                 norm.epsilon, out.from_row(first)});
  });
}

/// The same in place, in f32.
inline void forward(const kernels::Context& context, const LayerNorm& norm, float* x, index_t rows) {
  forward(context, norm, x, rows, {x, static_cast<index_t>(norm.gain.size()), DataType::f32, nullptr});
}

}  // namespace clipon::inline CLIPON_ABI::nn

// y = activation(W x + b + residual) on rows.  Layer 3; used by every tower.  torch.nn.Linear.
#pragma once

#include <vector>

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::nn {

using kernels::Activation;
using kernels::Context;

struct Linear {
  kernels::PackedMatrix weight;  // [outputs, inputs]
  std::vector<float> bias;       // [outputs], or empty

  [[nodiscard]] index_t inputs() const { return weight.columns(); }
  [[nodiscard]] index_t outputs() const { return weight.rows(); }
};

/// Where a layer's rows go: out [rows, outputs] and what is added before the activation.
struct Output {
  float* data = nullptr;
  index_t stride = 0;
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [rows, outputs], row stride residual_stride, or null; may be `data`
  index_t residual_stride = 0;
};

/// x [rows, inputs], row stride x_stride -> out.
inline void forward(const Context& context, const Linear& linear, const float* x, index_t x_stride, index_t rows,
                    const Output& out) {
  kernels::Epilogue epilogue;
  epilogue.out = out.data;
  epilogue.out_stride = out.stride;
  epilogue.bias = linear.bias.empty() ? nullptr : linear.bias.data();
  epilogue.residual = out.residual;
  epilogue.residual_stride = out.residual_stride;
  epilogue.activation = out.activation;
  kernels::gemm(context, x, x_stride, rows, linear.weight, epilogue);
}

}  // namespace clipon::inline CLIPON_ABI::nn

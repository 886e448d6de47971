// y = activation(W x + b + residual) on rows.  Layer 3; used by every tower.  torch.nn.Linear.
#pragma once

#include <vector>

#include "clipon/kernels/gemm.hpp"

namespace clipon::inline CLIPON_ABI::nn {

using kernels::Activation;
using kernels::Context;
using kernels::Operand;
using kernels::OperandRows;

struct Linear {
  kernels::PackedMatrix weight;  // [outputs, inputs], in the type that is computed in
  std::vector<float> bias;       // [outputs], or empty

  [[nodiscard]] index_t inputs() const { return weight.columns(); }
  [[nodiscard]] index_t outputs() const { return weight.rows(); }
  [[nodiscard]] DataType type() const { return weight.type(); }
};

/// Where a layer's rows go: out [rows, outputs], f32 or bf16, and what is added before the activation.
struct Output {
  void* data = nullptr;
  index_t stride = 0;
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [rows, outputs], row stride residual_stride, or null; may be `data`
  index_t residual_stride = 0;
  DataType type = DataType::f32;
  const std::uint16_t* residual_bf16 = nullptr;  // the residual in bf16 instead
};

inline Output to_rows(const OperandRows& rows, Activation activation = Activation::none) {
  return {rows.data, rows.stride, activation, nullptr, 0, rows.type};
}

/// x [rows, inputs], of the weight's type -> out.  next: the layer whose weights are wanted after these; or null.
inline void forward(const Context& context, const Linear& linear, const Operand& x, index_t rows, const Output& out,
                    const Linear* next = nullptr) {
  kernels::Epilogue epilogue = kernels::store_to(out.data, out.stride, out.type);
  epilogue.bias = linear.bias.empty() ? nullptr : linear.bias.data();
  epilogue.residual = out.residual;
  epilogue.residual_bf16 = out.residual_bf16;
  epilogue.residual_stride = out.residual_stride;
  epilogue.activation = out.activation;
  kernels::gemm(context, x, rows, linear.weight, epilogue, next == nullptr ? nullptr : &next->weight);
}

}  // namespace clipon::inline CLIPON_ABI::nn

// LayerNorm of rows (Ba et al. 2016; torch.nn.LayerNorm: biased variance), written in the type that the next product
// reads.  Called by nn/layer_norm.hpp through the table.  Per ISA.
#pragma once

#include "clipon/kernels/micro/quantise.hpp"
#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// A row of x as its normalised values: (x - mean) * inverse * gain + bias, computed anew at each look.
template <class Arch>
struct NormalisedRow {
  using V = simd::F32<Arch>;
  const float* x;
  const float* gain;
  const float* bias;
  typename V::Batch mean;
  typename V::Batch inverse;  // 1 / sqrt(variance + epsilon)

  CLIPON_ALWAYS_INLINE auto load(index_t i) const {
    return V::fma((V::load(x + i) - mean) * inverse, V::load(gain + i), V::load(bias + i));
  }
  CLIPON_ALWAYS_INLINE auto load_part(index_t i, index_t n) const {
    return V::fma((V::load_part(x + i, n) - mean) * inverse, V::load_part(gain + i, n), V::load_part(bias + i, n));
  }
};

// add(x, sum) over the whole registers of a row, in four chains: one would wait for each addition, 3 or 4 cycles.
template <class Arch, class Add>
CLIPON_ALWAYS_INLINE float sum_of_registers(const float* x, index_t whole, const Add& add) {
  using V = simd::F32<Arch>;
  constexpr int chains = 4;
  const auto zero = V::set(0.0f);
  typename V::Batch sums[chains] = {zero, zero, zero, zero};
  index_t i = 0;
  for (; i + chains * V::width <= whole; i += chains * V::width) {
#pragma GCC unroll 4
    for (int c = 0; c < chains; ++c) sums[c] = add(V::load(x + i + c * V::width), sums[c]);
  }
  for (; i < whole; i += V::width) sums[0] = add(V::load(x + i), sums[0]);
  return V::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class Arch>
CLIPON_ALWAYS_INLINE NormalisedRow<Arch> normalised_row(const LayerNormRows& job, const float* x) {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  const index_t whole = job.width / V::width * V::width;
  const float inverse_width = 1.0f / static_cast<float>(job.width);
  float total = sum_of_registers<Arch>(x, whole, [](Batch v, Batch sum) { return sum + v; });
  for (index_t i = whole; i < job.width; ++i) total += x[i];
  const float mean = total * inverse_width;

  // two passes: no cancellation for rows far from zero
  float squares = sum_of_registers<Arch>(x, whole, [&](Batch v, Batch sum) {
    const auto d = v - V::set(mean);
    return V::fma(d, d, sum);
  });
  for (index_t i = whole; i < job.width; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / std::sqrt(squares * inverse_width + job.epsilon);
  return {x, job.gain, job.bias, V::set(mean), V::set(inverse)};
}

template <class Arch>
inline void layer_norm(const LayerNormRows& job) {
  using V = simd::F32<Arch>;
  const index_t whole = job.width / V::width * V::width;
  const index_t rest = job.width - whole;
  for (index_t r = 0; r < job.rows; ++r) {
    const NormalisedRow<Arch> row = normalised_row<Arch>(job, job.x + r * job.x_stride);
    if (job.out.type != DataType::f32) {
      write_operand_row<Arch>(row, job.width, job.out, r);
      continue;
    }
    float* out = static_cast<float*>(job.out.data) + r * job.out.stride;
    for (index_t i = 0; i < whole; i += V::width) V::store(out + i, row.load(i));
    if (rest > 0) V::store_part(out + whole, row.load_part(whole, rest), rest);
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

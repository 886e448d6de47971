// What every kernel computes, written to be read: no blocks, no registers, sums in double.  Layer 2.
// Nothing in the library calls these; the tests hold each ISA's kernels against them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels::reference {

/// QuickGELU: openai/CLIP clip/model.py.  GELU and its tanh form: Hendrycks and Gimpel 2016.
inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::quick_gelu:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return std::max(x, 0.0);
  }
  return x;
}

/// Element (row, column) of a stored matrix.
inline float element(const StoredMatrix& m, index_t row, index_t column) {
  const index_t i = row * m.columns + column;
  switch (m.type) {
    case DataType::f32:
      return static_cast<const float*>(m.data)[i];
    case DataType::f16:
      return f16_to_float(static_cast<const std::uint16_t*>(m.data)[i]);
    case DataType::bf16:
      return bf16_to_float(static_cast<const std::uint16_t*>(m.data)[i]);
    case DataType::i8:
      return static_cast<float>(static_cast<const std::int8_t*>(m.data)[i]) * m.scale[row];
    case DataType::i16:
      break;  // nothing is stored in it
  }
  return 0.0f;
}

/// Element (row, column) of what a product reads.
inline double element(const Operand& a, index_t row, index_t column) {
  const index_t i = row * a.stride + column;
  switch (a.type) {
    case DataType::f32:
      return double{static_cast<const float*>(a.data)[i]};
    case DataType::bf16:
      return double{bf16_to_float(static_cast<const std::uint16_t*>(a.data)[i])};
    case DataType::i8:
      return double{a.scales[row].scale} * (static_cast<const std::uint8_t*>(a.data)[i] - a.scales[row].zero);
    case DataType::i16:
      return double{a.scales[row].scale} * (static_cast<const std::int16_t*>(a.data)[i] - a.scales[row].zero);
    case DataType::f16:
      break;
  }
  return 0.0;
}

/// out = activation(A W^T + bias + residual): a [rows, depth], w [columns, depth], exactly as they stand.
inline void gemm(const Operand& a, index_t rows, const StoredMatrix& w, const Epilogue& epilogue) {
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < w.rows; ++c) {
      double sum = 0.0;
      for (index_t k = 0; k < w.columns; ++k) sum += element(a, r, k) * double{element(w, c, k)};
      if (epilogue.bias != nullptr) sum += double{epilogue.bias[c]};
      const index_t residual_at = r * epilogue.residual_stride + c;
      if (epilogue.residual != nullptr) sum += double{epilogue.residual[residual_at]};
      if (epilogue.residual_bf16 != nullptr) sum += double{bf16_to_float(epilogue.residual_bf16[residual_at])};
      const auto out = static_cast<float>(activate(epilogue.activation, sum));
      const index_t at = r * epilogue.out_stride + c;
      if (epilogue.out != nullptr) epilogue.out[at] = out;
      if (epilogue.out_bf16 != nullptr) epilogue.out_bf16[at] = float_to_bf16(out);
    }
  }
}

/// One row: (x - mean) / sqrt(variance + epsilon) * gain + bias.  Ba et al. 2016.
inline void layer_norm(const float* x, index_t width, const float* gain, const float* bias, float epsilon, float* out) {
  double mean = 0.0;
  for (index_t i = 0; i < width; ++i) mean += double{x[i]} / static_cast<double>(width);
  double variance = 0.0;
  for (index_t i = 0; i < width; ++i) {
    variance += (double{x[i]} - mean) * (double{x[i]} - mean) / static_cast<double>(width);
  }
  for (index_t i = 0; i < width; ++i) {
    const double y = (double{x[i]} - mean) / std::sqrt(variance + double{epsilon});
    out[i] = static_cast<float>(y * double{gain[i]} + double{bias[i]});
  }
}

/// softmax(scale Q K^T) V in f32; under the causal mask query i sees keys 0 .. keys - queries + i.  Vaswani et al.
/// 2017.
inline void attention_head(const AttentionHead& head) {
  for (index_t q = 0; q < head.queries; ++q) {
    const index_t seen = head.seen(q);
    std::vector<double> weight(static_cast<std::size_t>(seen));
    for (index_t k = 0; k < seen; ++k) {
      double dot = 0.0;
      for (index_t d = 0; d < head.head_width; ++d) {
        dot += element(head.q, q, d) * element(head.k, head.key_row(k), d);
      }
      weight[static_cast<std::size_t>(k)] = dot * double{head.scale};
    }
    const double greatest = *std::max_element(weight.begin(), weight.end());
    double sum = 0.0;
    for (double& w : weight) sum += w = std::exp(w - greatest);
    for (index_t d = 0; d < head.head_width; ++d) {
      double mixed = 0.0;
      for (index_t k = 0; k < seen; ++k) {
        mixed += weight[static_cast<std::size_t>(k)] / sum * element(head.v, head.key_row(k), d);
      }
      static_cast<float*>(head.out.data)[q * head.out.stride + d] = static_cast<float>(mixed);
    }
  }
}

/// out = X W^T.
inline void row_dots(const RowDots& job) {
  for (index_t r = 0; r < job.rows; ++r) {
    for (index_t c = 0; c < job.columns; ++c) {
      double sum = 0.0;
      for (index_t k = 0; k < job.depth; ++k)
        sum += double{job.x[r * job.x_stride + k]} * double{job.w[c * job.w_stride + k]};
      job.out[r * job.columns + c] = static_cast<float>(sum);
    }
  }
}

/// The greatest of a row, and the sum of exp(scale (x - greatest)).
inline RowExp row_exp(const float* x, index_t n, float scale) {
  const float greatest = *std::max_element(x, x + n);
  double sum = 0.0;
  for (index_t i = 0; i < n; ++i) sum += std::exp(double{scale} * (double{x[i]} - double{greatest}));
  return {greatest, static_cast<float>(sum)};
}

/// The k greatest, best first; of equal ones the first.
inline void best_of_row(const float* x, index_t n, index_t k, float* values, std::int32_t* indices) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return x[a] > x[b]; });
  for (index_t i = 0; i < k; ++i) {
    indices[i] = order[static_cast<std::size_t>(i)];
    values[i] = x[indices[i]];
  }
}

inline void exp_of_rows(const RowsOfFew& job, float scale, float* greatest, float* sum) {
  for (index_t r = 0; r < job.rows; ++r) {
    const RowExp row = row_exp(job.x + r * job.stride, job.columns, scale);
    greatest[r] = row.greatest;
    sum[r] = row.sum;
  }
}

inline void best_two_of_rows(const RowsOfFew& job, const BestTwo& out) {
  for (index_t r = 0; r < job.rows; ++r) {
    const index_t k = job.columns > 1 ? 2 : 1;
    float values[2];
    std::int32_t indices[2];
    best_of_row(job.x + r * job.stride, job.columns, k, values, indices);
    out.best[r] = values[0];
    out.best_index[r] = indices[0];
    out.next[r] = values[k - 1];
    out.next_index[r] = indices[k - 1];
  }
}

/// Multi-head attention of token `asking` of one sequence (torch.nn.MultiheadAttention; AttentionPool2d in openai/CLIP
/// clip/model.py asks with the mean, token 0): x [tokens, channels]; weights [channels, channels] of query, key and
/// value -> the attended values [channels], before the output projection.
inline std::vector<double> attention_of_token(const float* x, index_t asking, index_t tokens, index_t channels,
                                              index_t heads, const float* const (&weight)[3],
                                              const float* const (&bias)[3]) {
  const auto projected = [&](std::size_t which, index_t token, index_t o) {  // 0: query, 1: key, 2: value
    double sum = double{bias[which][o]};
    for (index_t c = 0; c < channels; ++c) {
      sum += double{weight[which][o * channels + c]} * double{x[token * channels + c]};
    }
    return sum;
  };
  const index_t head_width = channels / heads;
  std::vector<double> query;
  for (index_t o = 0; o < channels; ++o) query.push_back(projected(0, asking, o));
  std::vector<double> out(static_cast<std::size_t>(channels));
  for (index_t first = 0; first < channels; first += head_width) {
    std::vector<double> score(static_cast<std::size_t>(tokens));
    double total = 0.0;
    for (index_t t = 0; t < tokens; ++t) {
      double dot = 0.0;
      for (index_t o = first; o < first + head_width; ++o) {
        dot += query[static_cast<std::size_t>(o)] * projected(1, t, o);
      }
      total += score[static_cast<std::size_t>(t)] = std::exp(dot / std::sqrt(static_cast<double>(head_width)));
    }
    for (index_t o = first; o < first + head_width; ++o) {
      for (index_t t = 0; t < tokens; ++t) {
        out[static_cast<std::size_t>(o)] += score[static_cast<std::size_t>(t)] / total * projected(2, t, o);
      }
    }
  }
  return out;
}

/// torch.nn.AvgPool2d(2) on [height, width, channels].
inline void average_pool_2x2(const float* in, index_t height, index_t width, index_t channels, float* out) {
  for (index_t y = 0; y < height / 2; ++y) {
    for (index_t x = 0; x < width / 2; ++x) {
      for (index_t c = 0; c < channels; ++c) {
        const auto at = [&](index_t dy, index_t dx) {
          return double{in[((2 * y + dy) * width + 2 * x + dx) * channels + c]};
        };
        *out++ = static_cast<float>((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0);
      }
    }
  }
}

/// The k rows of greatest product with the query, best first; a NaN is never among them.
inline std::vector<Candidate> dot_topk(const StoredMatrix& vectors, const float* query, index_t k) {
  std::vector<Candidate> all;
  for (index_t row = 0; row < vectors.rows; ++row) {
    double dot = 0.0;
    for (index_t i = 0; i < vectors.columns; ++i) dot += double{element(vectors, row, i)} * double{query[i]};
    if (!std::isnan(dot)) all.push_back({static_cast<float>(dot), row});
  }
  std::sort(all.begin(), all.end(), precedes);
  if (static_cast<index_t>(all.size()) > k) all.resize(static_cast<std::size_t>(k));
  return all;
}

/// The matrices of Winograd's convolution of 3 taps by its points p, which are m + 1 numbers and infinity: Toom and
/// Cook's multiplication of polynomials, transposed (Lavin and Gray 2016, 4.1, give those of 0, 1, -1).
struct WinogradMatrices {
  using Matrix = std::vector<std::vector<double>>;
  Matrix bt;  // [n, n], n = m + 2: the coefficients of the product of (x - q) over all points q but p; of all
  Matrix g;   // [n, 3]: the powers of p, over the product of (p - q); the last power
  Matrix at;  // [m, n]: the powers of p; the last power
};

inline WinogradMatrices winograd_matrices(const std::vector<double>& points) {
  const std::size_t n = points.size() + 1;
  WinogradMatrices matrices{{}, {}, WinogradMatrices::Matrix(n - 2, std::vector<double>(n))};
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> product(n);  // coefficients, that of x^0 first
    product[0] = 1.0;
    double value = 1.0;  // of the product at points[i]
    for (std::size_t j = 0; j < points.size(); ++j) {
      if (j == i) continue;
      for (std::size_t k = n; k-- > 0;) product[k] = (k == 0 ? 0.0 : product[k - 1]) - points[j] * product[k];
      if (i < points.size()) value *= points[i] - points[j];
    }
    matrices.bt.push_back(product);
    const auto power = [&](std::size_t k, std::size_t most) {
      if (i == points.size()) return k == most ? 1.0 : 0.0;
      return std::pow(points[i], static_cast<double>(k));
    };
    matrices.g.push_back({power(0, 2) / value, power(1, 2) / value, power(2, 2) / value});
    for (std::size_t k = 0; k < n - 2; ++k) matrices.at[k][i] = power(k, n - 3);
  }
  return matrices;
}

/// The same by the outputs of a tile, each way: 2 or 4.
inline WinogradMatrices winograd_matrices(index_t m) {
  const double a = double{kWinogradNear};
  const double b = double{kWinogradFar};
  return winograd_matrices(m == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, a, -a, b, -b});
}

/// X d X^T: x [rows, n], d [n, n] -> [rows, rows].
inline std::vector<double> both_sides(const WinogradMatrices::Matrix& x, const std::vector<double>& d) {
  const std::size_t n = x.front().size();
  std::vector<double> out;
  for (const auto& row : x) {
    for (const auto& column : x) {
      double sum = 0.0;
      for (std::size_t k = 0; k < n * n; ++k) sum += row[k / n] * d[k] * column[k % n];
      out.push_back(sum);
    }
  }
  return out;
}

/// relu(convolution + bias), 3 x 3 with stride 1 and padding 1, of [height, width, in] with weights [out, in, 3, 3] ->
/// out [height, width, out].
inline void convolution_3x3(const float* in, index_t height, index_t width, index_t inputs, const float* weights,
                            const float* bias, index_t outputs, double* out) {
  for (index_t pixel = 0; pixel < height * width; ++pixel) {
    for (index_t o = 0; o < outputs; ++o) {
      double sum = double{bias[o]};
      for (index_t k = 0; k < 9 * inputs; ++k) {
        const index_t y = pixel / width + k % 9 / 3 - 1;
        const index_t x = pixel % width + k % 3 - 1;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        sum += double{in[(y * width + x) * inputs + k / 9]} * double{weights[(o * inputs + k / 9) * 9 + k % 9]};
      }
      out[pixel * outputs + o] = std::max(sum, 0.0);
    }
  }
}

/// A byte of Pillow's resize: the sum of pixels times their coefficients, high * 2^kResizeLowBits + low, rounded and
/// clamped.  Integers, so kernels must agree to the bit.
inline std::uint8_t resized_byte(const std::vector<std::uint8_t>& pixels, const std::int16_t* high,
                                 const std::int16_t* low) {
  std::int64_t sum = kResizeHalf;
  for (std::size_t t = 0; t < pixels.size(); ++t) {
    sum += std::int64_t{pixels[t]} * ((std::int64_t{high[t]} << kResizeLowBits) + low[t]);
  }
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kResizeBits, 0, 255));
}

}  // namespace clipon::inline CLIPON_ABI::kernels::reference

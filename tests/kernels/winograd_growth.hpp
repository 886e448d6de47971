// How much the transforms of Winograd's convolution let rounding grow.
#pragma once

#include <clipon/kernels/reference.hpp>
#include <numeric>
#include <vector>

namespace support {

/// For each output of a tile, one direction: the variance of its error where each position's product has one of its own
/// variance, of tiles and weights of variance 1.  The output itself has a variance of 3; in two directions both are
/// products.
inline std::vector<double> winograd_growth(const clipon::kernels::reference::WinogradMatrices& matrices) {
  const auto squares = [](const std::vector<double>& row) {
    return std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
  };
  std::vector<double> growth;
  for (const auto& output : matrices.at) {
    double sum = 0.0;
    for (std::size_t i = 0; i < output.size(); ++i) {
      sum += output[i] * output[i] * squares(matrices.bt[i]) * squares(matrices.g[i]);
    }
    growth.push_back(sum);
  }
  return growth;
}

}  // namespace support

// What Pillow's antialiased resize multiplies the pixels of an axis by.  Layer 3; used by resize.hpp.
// Pillow src/libImaging/Resample.c: precompute_coeffs, normalize_coeffs_8bpc.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/core/types.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::image {

enum class Interpolation : std::uint8_t { bicubic, bilinear };

/// Outputs first .. first + count of an axis that is resized from `in` to `out` pixels.
struct AxisWindow {
  index_t in = 0;
  index_t out = 0;
  index_t first = 0;
  index_t count = 0;
};

inline double filter_support(Interpolation interpolation) {
  return interpolation == Interpolation::bicubic ? 2.0 : 1.0;
}

/// Keys' cubic convolution with a = -0.5, or the triangle.
inline double filter_value(Interpolation interpolation, double x) {
  x = std::fabs(x);
  if (interpolation == Interpolation::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/// Fixed-point coefficients of an axis, cut in halves as kernels/micro/resize_pass.hpp wants them.  The first tap of
/// each output is at a multiple of `grid`; Pillow's first may come after it.
class Coefficients {
 public:
  Coefficients(const AxisWindow& axis, Interpolation interpolation, index_t grid = 1) {
    const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out);
    const double filter_scale = std::max(scale, 1.0);
    const double support = filter_support(interpolation) * filter_scale;
    taps_ = round_up(static_cast<index_t>(std::ceil(support)) * 2 + 1 + (grid - 1), 4);
    const auto size = static_cast<std::size_t>(axis.count * taps_);
    high_.resize(size);
    low_.resize(size);
    std::vector<double> weights(static_cast<std::size_t>(taps_));
    for (index_t i = 0; i < axis.count; ++i) {
      const double center = (static_cast<double>(axis.first + i) + 0.5) * scale;
      // Pillow's rounding, which truncates towards zero: NOLINTNEXTLINE(bugprone-incorrect-roundings)
      const index_t low = std::max(static_cast<index_t>(center - support + 0.5), index_t{0});
      // NOLINTNEXTLINE(bugprone-incorrect-roundings)
      const index_t high = std::min(static_cast<index_t>(center + support + 0.5), axis.in);
      double sum = 0.0;
      for (index_t t = 0; t < high - low; ++t) {
        const double x = (static_cast<double>(t + low) - center + 0.5) * (1.0 / filter_scale);
        sum += weights[static_cast<std::size_t>(t)] = filter_value(interpolation, x);
      }
      const index_t first = low / grid * grid;
      first_.push_back(static_cast<std::int32_t>(first));
      used_.push_back(static_cast<std::int32_t>(high - first));
      for (index_t t = 0; t < high - low; ++t) {
        store(i * taps_ + (low - first) + t, sum != 0.0 ? weights[static_cast<std::size_t>(t)] / sum : 0.0);
      }
    }
  }

  [[nodiscard]] index_t taps() const { return taps_; }
  [[nodiscard]] index_t first(index_t i) const { return first_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] index_t used(index_t i) const { return used_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] const std::int32_t* useds() const { return used_.data(); }
  [[nodiscard]] const std::int16_t* high(index_t i) const { return high_.data() + i * taps_; }
  [[nodiscard]] const std::int16_t* low(index_t i) const { return low_.data() + i * taps_; }

 private:
  void store(index_t at, double weight) {
    const double scaled = weight * (1 << kernels::kResizeBits);
    const auto fixed = static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    const std::int32_t low_mask = (1 << kernels::kResizeLowBits) - 1;
    high_[static_cast<std::size_t>(at)] = static_cast<std::int16_t>(fixed >> kernels::kResizeLowBits);
    low_[static_cast<std::size_t>(at)] = static_cast<std::int16_t>(fixed & low_mask);
  }

  index_t taps_ = 0;
  std::vector<std::int32_t> first_;  // [count]
  std::vector<std::int32_t> used_;   // [count]
  std::vector<std::int16_t> high_;   // [count, taps], zero where unused
  std::vector<std::int16_t> low_;    // [count, taps]
};

}  // namespace clipon::inline CLIPON_ABI::image

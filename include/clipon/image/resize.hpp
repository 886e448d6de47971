// Pillow's Image.resize, of the part that the crop keeps.  Layer 3; called by preprocess.hpp.
// Pillow src/libImaging/Resample.c (precompute_coeffs, normalize_coeffs_8bpc, the passes), src/PIL/Image.py (which
// modes go through premultiplied alpha, which take the nearest pixel) and Convert.c (the rounding of both).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clipon/image/pixels.hpp"
#include "clipon/kernels/table.hpp"

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

/// Fixed-point coefficients of an axis, cut in halves as kernels/micro/resize_pass.hpp wants them.
class Coefficients {
 public:
  Coefficients(const AxisWindow& axis, Interpolation interpolation) {
    const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out);
    const double filter_scale = std::max(scale, 1.0);
    const double support = filter_support(interpolation) * filter_scale;
    taps_ = (static_cast<index_t>(std::ceil(support)) * 2 + 1 + 3) / 4 * 4;
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
      first_.push_back(static_cast<std::int32_t>(low));
      used_.push_back(static_cast<std::int32_t>(high - low));
      for (index_t t = 0; t < high - low; ++t) {
        store(i * taps_ + t, sum != 0.0 ? weights[static_cast<std::size_t>(t)] / sum : 0.0);
      }
    }
  }

  [[nodiscard]] index_t taps() const { return taps_; }
  [[nodiscard]] index_t first(index_t i) const { return first_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] index_t used(index_t i) const { return used_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] const std::int32_t* firsts() const { return first_.data(); }
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

// a * b / 255, rounded: Pillow's MULDIV255.
inline std::uint8_t multiply_255(unsigned a, unsigned b) {
  const unsigned t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

/// Pixels first .. last of a row as the passes take them: gray as RGB, alpha premultiplied.  out [last - first, 3 or
/// 4].
inline void widen_row(const Pixels& pixels, index_t y, index_t first, index_t last, std::uint8_t* out) {
  const index_t channels = channels_of(pixels.layout);
  const std::uint8_t* in = pixels.row(y) + first * channels;
  for (index_t x = first; x < last; ++x, in += channels) {
    if (pixels.layout == Layout::gray) {
      out[0] = out[1] = out[2] = in[0];
      out += 3;
    } else {
      const bool gray = pixels.layout == Layout::gray_alpha;
      const std::uint8_t alpha = in[channels - 1];
      for (index_t c = 0; c < 3; ++c) out[c] = multiply_255(in[gray ? 0 : c], alpha);
      out[3] = alpha;
      out += 4;
    }
  }
}

/// Pillow's convert("RGB") of one pixel: alpha is dropped, black and each ink subtract.
inline void to_rgb(Layout layout, const std::uint8_t* in, std::uint8_t* rgb) {
  const bool gray = layout == Layout::gray || layout == Layout::gray_alpha;
  for (int c = 0; c < 3; ++c) {
    rgb[c] = in[gray ? 0 : c];
    if (layout == Layout::cmyk) {
      const int paper = 255 - in[3];
      rgb[c] = static_cast<std::uint8_t>(std::max(paper - multiply_255(in[c], static_cast<unsigned>(paper)), 0));
    }
  }
}

/// A resized pixel, as widen_row made it, to RGB: premultiplied alpha is divided out again.
inline void narrow_pixel(Layout layout, const std::uint8_t* in, std::uint8_t* rgb) {
  if (layout == Layout::cmyk) return to_rgb(layout, in, rgb);
  const bool has_alpha = layout == Layout::gray_alpha || layout == Layout::rgba;
  const int alpha = has_alpha && in[3] != 0 ? in[3] : 255;
  for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(std::min(255 * in[c] / alpha, 255));
}

/// The pixel that Pillow's nearest-neighbour resize takes for each output: its running sum, rounding and all.
inline std::vector<index_t> nearest_positions(const AxisWindow& axis) {
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out);
  std::vector<index_t> positions;
  double position = scale * 0.5;
  for (index_t i = 0; i < axis.first + axis.count; ++i, position += scale) {
    if (i >= axis.first) positions.push_back(std::min(static_cast<index_t>(position), axis.in - 1));
  }
  return positions;
}

inline void resize_nearest(const Pixels& pixels, const AxisWindow& columns, const AxisWindow& rows, std::uint8_t* out) {
  const auto xs = nearest_positions(columns);
  const auto ys = nearest_positions(rows);
  const index_t channels = channels_of(pixels.layout);
  for (const index_t y : ys) {
    for (const index_t x : xs) {
      to_rgb(pixels.layout, pixels.row(y) + x * channels, out);
      out += 3;
    }
  }
}

/// Rows of the picture after the pass along x, four at a time.
class ColumnPass {
 public:
  ColumnPass(const kernels::KernelTable& kernels, const Pixels& pixels, const AxisWindow& axis,
             Interpolation interpolation)
      : kernels_(kernels),
        pixels_(pixels),
        axis_(axis),
        skip_(axis.in == axis.out),
        channels_(pixels.layout == Layout::gray || pixels.layout == Layout::rgb ? 3 : 4),
        coefficients_(skip_ ? AxisWindow{1, 1, 0, 0} : axis, interpolation) {
    const index_t n = axis.count;
    left_ = skip_ ? axis.first : coefficients_.first(0);
    right_ = skip_ ? axis.first + n : coefficients_.first(n - 1) + coefficients_.used(n - 1);
    if (!plain()) {
      const index_t bytes = (right_ - left_) * channels_ + Pixels::kTail;
      widened_ = AlignedBuffer<std::uint8_t>(static_cast<std::size_t>(4 * bytes));
      std::memset(widened_.data(), 0, widened_.size());
      widened_stride_ = bytes;
    }
    for (index_t i = 0; i < n; ++i)
      firsts_.push_back(static_cast<std::int32_t>(skip_ ? 0 : coefficients_.first(i) - left_));
  }

  [[nodiscard]] index_t row_bytes() const { return axis_.count * channels_; }
  [[nodiscard]] index_t channels() const { return channels_; }

  /// Rows y .. y + count (at most 4) -> out, row stride row_bytes(); four rows are always written.
  void rows(index_t y, index_t count, std::uint8_t* out) {
    kernels::ResizeRows job;
    for (index_t r = 0; r < 4; ++r) job.rows[r] = source(y + std::min(r, count - 1), r);
    if (skip_) {
      for (index_t r = 0; r < 4; ++r)
        std::memcpy(out + r * row_bytes(), job.rows[r], static_cast<std::size_t>(row_bytes()));
      return;
    }
    job.channels = channels_;
    job.outputs = axis_.count;
    job.taps = coefficients_.taps();
    job.first = firsts_.data();
    job.used = coefficients_.useds();
    job.high = coefficients_.high(0);
    job.low = coefficients_.low(0);
    job.out = out;
    job.out_stride = row_bytes();
    kernels_.resize_rows(job);
  }

 private:
  [[nodiscard]] bool plain() const { return pixels_.layout == Layout::rgb || pixels_.layout == Layout::cmyk; }

  const std::uint8_t* source(index_t y, index_t slot) {
    if (plain()) return pixels_.row(y) + left_ * channels_;
    std::uint8_t* row = widened_.data() + slot * widened_stride_;
    widen_row(pixels_, y, left_, right_, row);
    return row;
  }

  const kernels::KernelTable& kernels_;
  const Pixels& pixels_;
  AxisWindow axis_;
  bool skip_;  // Pillow leaves out a pass that changes nothing
  index_t channels_;
  Coefficients coefficients_;
  index_t left_ = 0;
  index_t right_ = 0;
  std::vector<std::int32_t> firsts_;     // [count], from left_
  AlignedBuffer<std::uint8_t> widened_;  // [4, right - left, channels]
  index_t widened_stride_ = 0;
};

/// The window `columns` x `rows` of the resized picture, as RGB: out [rows.count, columns.count, 3].
/// Rows after the pass along x wait in a ring until no output row needs them, so memory does not grow with the picture.
inline void resize_window(const kernels::KernelTable& kernels, const Pixels& pixels, const AxisWindow& columns,
                          const AxisWindow& rows, Interpolation interpolation, std::uint8_t* out) {
  const bool unchanged = columns.in == columns.out && rows.in == rows.out;  // then Pillow copies, alpha or not
  if (pixels.nearest || unchanged) return resize_nearest(pixels, columns, rows, out);
  ColumnPass pass(kernels, pixels, columns, interpolation);
  const bool skip = rows.in == rows.out;
  const Coefficients coefficients(skip ? AxisWindow{rows.in, rows.in, rows.first, rows.count} : rows, interpolation);
  const index_t taps = coefficients.taps();
  const index_t bytes = pass.row_bytes();
  const index_t ring_rows = taps + 8;  // what one output needs, and a step of four that began before it
  AlignedBuffer<std::uint8_t> ring(static_cast<std::size_t>(ring_rows * bytes));
  AlignedBuffer<std::uint8_t> step(static_cast<std::size_t>(4 * bytes));
  AlignedBuffer<std::uint8_t> line(static_cast<std::size_t>(bytes));
  std::vector<const std::uint8_t*> sources(static_cast<std::size_t>(taps));
  index_t done = coefficients.first(0);  // rows before this one have passed, or are not needed
  for (index_t y = 0; y < rows.count; ++y) {
    const index_t first = coefficients.first(y);
    const index_t used = coefficients.used(y);
    done = std::max(done, first);
    while (done < first + used) {
      const index_t count = std::min<index_t>(4, rows.in - done);
      pass.rows(done, count, step.data());
      for (index_t r = 0; r < count; ++r) {
        std::memcpy(ring.data() + (done + r) % ring_rows * bytes, step.data() + r * bytes,
                    static_cast<std::size_t>(bytes));
      }
      done += count;
    }
    for (index_t t = 0; t < taps; ++t) {  // taps beyond `used` have coefficient zero
      sources[static_cast<std::size_t>(t)] = ring.data() + (first + std::min(t, used - 1)) % ring_rows * bytes;
    }
    const std::uint8_t* resized = line.data();
    if (skip) {
      resized = ring.data() + (rows.first + y) % ring_rows * bytes;
    } else {
      const index_t even = (used + 1) / 2 * 2;
      kernels.resize_columns({sources.data(), bytes, even, coefficients.high(y), coefficients.low(y), line.data()});
    }
    if (pass.channels() == 3) {
      std::memcpy(out, resized, static_cast<std::size_t>(bytes));
      out += bytes;
    } else {
      for (index_t x = 0; x < columns.count; ++x, out += 3) narrow_pixel(pixels.layout, resized + x * 4, out);
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::image

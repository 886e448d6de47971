// Pillow's Image.resize, of the part that the crop keeps.  Layer 3; called by preprocess.hpp.
// Pillow 13 src/libImaging/Resample.c (the passes and their order), src/PIL/Image.py (which modes go through
// premultiplied alpha, which take the nearest pixel) and Convert.c (the rounding of both).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/image/coefficients.hpp"
#include "clipon/image/pixels.hpp"
#include "clipon/kernels/table.hpp"

namespace clipon::inline CLIPON_ABI::image {

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

using FourRows = std::array<const std::uint8_t*, 4>;

/// Rows of a picture from column `left` to `right`, as the passes take them.
class SourceRows {
 public:
  SourceRows(const Pixels& pixels, index_t left, index_t right)
      : pixels_(pixels), left_(left), right_(right), channels_(passes_channels(pixels.layout)) {
    if (plain()) return;
    stride_ = row_bytes() + Pixels::kTail;
    widened_ = AlignedBuffer<std::uint8_t>(static_cast<std::size_t>(4 * stride_));
    std::memset(widened_.data(), 0, widened_.size());
  }

  [[nodiscard]] static index_t passes_channels(Layout layout) {
    return layout == Layout::gray || layout == Layout::rgb ? 3 : 4;
  }
  [[nodiscard]] index_t row_bytes() const { return (right_ - left_) * channels_; }

  /// Rows y .. y + 3, until called again; in place of those below the picture, its last row.
  FourRows four(index_t y) {
    FourRows rows;
    for (index_t r = 0; r < 4; ++r) {
      const index_t at = std::min(y + r, pixels_.height - 1);
      std::uint8_t* slot = widened_.data() + r * stride_;
      rows[static_cast<std::size_t>(r)] = plain() ? pixels_.row(at) + left_ * channels_ : slot;
      if (!plain()) widen_row(pixels_, at, left_, right_, slot);
    }
    return rows;
  }

 private:
  [[nodiscard]] bool plain() const { return pixels_.layout == Layout::rgb || pixels_.layout == Layout::cmyk; }

  const Pixels& pixels_;
  index_t left_;
  index_t right_;
  index_t channels_;
  AlignedBuffer<std::uint8_t> widened_;  // [4, right - left, channels], kTail zeros behind each
  index_t stride_ = 0;
};

/// Words from one pair of rows of so many bytes to the next: a whole number of cache lines.
constexpr index_t pair_stride(index_t row_bytes) {
  return round_up(2 * row_bytes + kernels::ResizeRows::kPairTail, 32);
}

/// Four rows of n bytes as two pairs (kernels::ResizeRows).
inline void interleave(const FourRows& rows, index_t n, std::uint16_t* out) {
  for (std::size_t r = 0; r < 4; r += 2) {
    for (index_t i = 0; i < n; ++i) {
      out[2 * i] = rows[r][i];
      out[2 * i + 1] = rows[r + 1][i];
    }
    out += pair_stride(n);
  }
}

/// One of the two rows of a pair as bytes [n].
inline void take_row(const std::uint16_t* pair, index_t parity, index_t n, std::uint8_t* out) {
  for (index_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(pair[2 * i + parity]);
}

/// The pass along x: four rows become two pairs of rows.
class ColumnPass {
 public:
  ColumnPass(const kernels::KernelTable& kernels, const AxisWindow& axis, Interpolation interpolation, index_t channels)
      : kernels_(kernels),
        axis_(axis),
        skip_(axis.in == axis.out),
        channels_(channels),
        coefficients_(skip_ ? AxisWindow{1, 1, 0, 0} : axis, interpolation) {
    for (index_t i = 0; i < axis.count && !skip_; ++i)
      firsts_.push_back(static_cast<std::int32_t>(coefficients_.first(i) - left()));
  }

  /// The columns that are read.
  [[nodiscard]] index_t left() const { return skip_ ? axis_.first : coefficients_.first(0); }
  [[nodiscard]] index_t right() const {
    const index_t last = axis_.count - 1;
    return skip_ ? axis_.first + axis_.count : coefficients_.first(last) + coefficients_.used(last);
  }
  [[nodiscard]] index_t columns() const { return axis_.count; }
  [[nodiscard]] index_t row_bytes() const { return axis_.count * channels_; }

  /// rows [4] from column left() on, kTail bytes readable behind each -> two pairs, pair_stride(row_bytes()) apart.
  void operator()(const FourRows& rows, std::uint16_t* out) const {
    if (skip_) return interleave(rows, row_bytes(), out);
    kernels::ResizeRows job;
    std::copy(rows.begin(), rows.end(), std::begin(job.rows));
    job.channels = channels_;
    job.outputs = axis_.count;
    job.taps = coefficients_.taps();
    job.first = firsts_.data();
    job.used = coefficients_.useds();
    job.high = coefficients_.high(0);
    job.low = coefficients_.low(0);
    job.out = out;
    job.out_stride = pair_stride(row_bytes());
    kernels_.resize_rows(job);
  }

 private:
  const kernels::KernelTable& kernels_;
  AxisWindow axis_;
  bool skip_;  // Pillow leaves out a pass that changes nothing
  index_t channels_;
  Coefficients coefficients_;
  std::vector<std::int32_t> firsts_;  // [count], from left()
};

/// The pass along y.  Pairs of rows wait in a ring until no output needs them: memory does not grow with the picture.
class RowPass {
 public:
  RowPass(const kernels::KernelTable& kernels, const AxisWindow& axis, Interpolation interpolation, index_t row_bytes)
      : kernels_(kernels),
        axis_(axis),
        coefficients_(axis, interpolation, 2),
        row_bytes_(row_bytes),
        pairs_((coefficients_.taps() + 8) / 2),  // what one output needs, and a step of four that began before it
        ring_(static_cast<std::size_t>(pairs_ * pair_stride(row_bytes))) {}

  /// Row y of the window: out [row_bytes].  `make(y, out)` makes rows y .. y + 3, y a multiple of 4.  Rows go upwards.
  template <class MakeFour>
  void row(index_t y, MakeFour&& make, std::uint8_t* out) {
    const index_t first = coefficients_.first(y);
    const index_t last = first + coefficients_.used(y);
    for (done_ = std::max(done_, first / 4 * 4); done_ < last; done_ += 4) make(done_, pair(done_));
    if (axis_.in == axis_.out) {
      const index_t same = axis_.first + y;
      return take_row(pair(same), same % 2, row_bytes_, out);
    }
    sources_.clear();
    for (index_t row = first; row < last; row += 2) sources_.push_back(pair(row));
    const auto count = static_cast<index_t>(sources_.size());
    kernels_.resize_columns({sources_.data(), row_bytes_, count, coefficients_.high(y), coefficients_.low(y), out});
  }

 private:
  [[nodiscard]] std::uint16_t* pair(index_t y) { return ring_.data() + y / 2 % pairs_ * pair_stride(row_bytes_); }

  const kernels::KernelTable& kernels_;
  AxisWindow axis_;
  Coefficients coefficients_;
  index_t row_bytes_;
  index_t pairs_;  // even, as taps() is a multiple of 4: a step of four rows lies in one piece
  AlignedBuffer<std::uint16_t> ring_;
  index_t done_ = 0;  // rows before this one were made, or are not needed; a multiple of 4
  std::vector<const std::uint16_t*> sources_;
};

/// A resized row, as widen_row made its pixels, to RGB: in [n bytes].
inline void narrow_row(Layout layout, const std::uint8_t* in, index_t n, std::uint8_t* rgb) {
  if (SourceRows::passes_channels(layout) == 3) {
    std::memcpy(rgb, in, static_cast<std::size_t>(n));
  } else {
    for (index_t i = 0; i < n; i += 4, rgb += 3) narrow_pixel(layout, in + i, rgb);
  }
}

/// Pillow's usual order: out [count, columns of `across`, 3].
inline void columns_then_rows(SourceRows& source, const ColumnPass& across, RowPass& down, index_t count, Layout layout,
                              std::uint8_t* out) {
  const auto make_four = [&](index_t y, std::uint16_t* pairs) { across(source.four(y), pairs); };
  AlignedBuffer<std::uint8_t> line(static_cast<std::size_t>(across.row_bytes()));
  for (index_t y = 0; y < count; ++y, out += across.columns() * 3) {
    down.row(y, make_four, line.data());
    narrow_row(layout, line.data(), across.row_bytes(), out);
  }
}

/// The other order, for the same out.
inline void rows_then_columns(SourceRows& source, RowPass& down, const ColumnPass& across, index_t count, Layout layout,
                              std::uint8_t* out) {
  const index_t wide = source.row_bytes();
  const auto make_four = [&](index_t y, std::uint16_t* pairs) { interleave(source.four(y), wide, pairs); };
  const index_t narrow = across.row_bytes();
  const index_t stride = wide + Pixels::kTail;
  AlignedBuffer<std::uint8_t> lines(static_cast<std::size_t>(4 * stride));
  std::memset(lines.data(), 0, lines.size());  // what is behind each
  AlignedBuffer<std::uint16_t> pairs(static_cast<std::size_t>(2 * pair_stride(narrow)));
  AlignedBuffer<std::uint8_t> line(static_cast<std::size_t>(narrow));
  for (index_t y = 0; y < count; y += 4) {
    const index_t of_four = std::min<index_t>(4, count - y);
    for (index_t r = 0; r < of_four; ++r) down.row(y + r, make_four, lines.data() + r * stride);
    across({lines.data(), lines.data() + stride, lines.data() + 2 * stride, lines.data() + 3 * stride}, pairs.data());
    for (index_t r = 0; r < of_four; ++r, out += across.columns() * 3) {
      take_row(pairs.data() + r / 2 * pair_stride(narrow), r % 2, narrow, line.data());
      narrow_row(layout, line.data(), narrow, out);
    }
  }
}

/// Pillow 13's rule: the pass along y is first where the picture loses more than twice as many rows as columns.  Before
/// 13 the pass along x was always first, which rounds such a picture a little differently.
inline bool is_row_pass_first(const AxisWindow& columns, const AxisWindow& rows) {
  const index_t lost = rows.in - rows.out;
  return lost > 0 && lost > 2 * (columns.in - columns.out);
}

/// The window `columns` x `rows` of the resized picture, as RGB: out [rows.count, columns.count, 3].
inline void resize_window(const kernels::KernelTable& kernels, const Pixels& pixels, const AxisWindow& columns,
                          const AxisWindow& rows, Interpolation interpolation, std::uint8_t* out) {
  const bool unchanged = columns.in == columns.out && rows.in == rows.out;  // then Pillow copies, alpha or not
  if (pixels.nearest || unchanged) return resize_nearest(pixels, columns, rows, out);
  const ColumnPass across(kernels, columns, interpolation, SourceRows::passes_channels(pixels.layout));
  SourceRows source(pixels, across.left(), across.right());
  if (is_row_pass_first(columns, rows)) {
    RowPass down(kernels, rows, interpolation, source.row_bytes());
    rows_then_columns(source, down, across, rows.count, pixels.layout, out);
  } else {
    RowPass down(kernels, rows, interpolation, across.row_bytes());
    columns_then_rows(source, across, down, rows.count, pixels.layout, out);
  }
}

}  // namespace clipon::inline CLIPON_ABI::image

// Many embeddings in half or a quarter of a float's memory.  PUBLIC, layer 6; searched by search/top_k.hpp and grouped
// by search/duplicates.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "clipon/kernels/types.hpp"
#include "clipon/model.hpp"

namespace clipon::inline CLIPON_ABI {

/// Rows to search in; the memory is the caller's (a mapped file, a StoredVectors).
struct VectorsView {
  const void* data = nullptr;     ///< [rows, width], one after the other
  DataType type = DataType::f32;  ///< f32, f16, bf16, or i8 with a scale a row
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t width = 0;
  const float* scale = nullptr;  ///< [rows] for i8
};

/// Unit rows kept in half or a quarter of a float's memory.  float16 changes a cosine by 2^-11 at most; int8 rounds
/// each element by up to 1/254 of the row's greatest: an embedding's cosine changes by about 0.001 and by 0.003 where
/// it is near 1, that of rows with one dominant element by up to 0.008.
class StoredVectors {
 public:
  static constexpr std::ptrdiff_t kMaxWidth = std::ptrdiff_t{1} << 24;  // far beyond any embedding

  /// Throws Error invalid_argument for a width outside 1..kMaxWidth or a type other than f32, f16 and i8.
  StoredVectors(DataType type, std::ptrdiff_t width) : type_(type), width_(width) {
    const bool kept = type == DataType::f32 || type == DataType::f16 || type == DataType::i8;
    if (width < 1 || width > kMaxWidth || !kept) {
      throw Error(ErrorCode::invalid_argument, "stored vectors: expected f32, f16 or int8 and a width of 1 to " +
                                                   std::to_string(kMaxWidth) + ", found " + to_string(type) + " and " +
                                                   std::to_string(width));
    }
  }

  /// Adds rows [n, width], which must not lie in this object's own memory.  A row with a NaN stays one, and is never
  /// found.
  void append(const ConstMatrixRef& rows) {
    const FloatingPointScope scope(Denormals::kept);
    if (rows.cols() != width_) {
      throw Error(ErrorCode::invalid_argument, "stored vectors: expected rows of " + std::to_string(width_) +
                                                   ", found " + std::to_string(rows.cols()));
    }
    for (Eigen::Index i = 0; i < rows.rows(); ++i) append_row(rows.data() + i * rows.outerStride());
  }

  /// Valid until the next append.
  [[nodiscard]] VectorsView view() const {
    const auto row_bytes = width_ * static_cast<std::ptrdiff_t>(size_of(type_));
    const auto rows = static_cast<std::ptrdiff_t>(bytes_.size()) / row_bytes;
    return {bytes_.data(), type_, rows, width_, type_ == DataType::i8 ? scale_.data() : nullptr};
  }

 private:
  void append_row(const float* row) {
    const std::size_t element = size_of(type_);
    const auto width = static_cast<std::size_t>(width_);
    // bytes_ says how many rows there are, so it grows last: memory may run out
    if (type_ == DataType::i8) scale_.resize(bytes_.size() / width + 1);
    bytes_.resize(bytes_.size() + width * element);
    std::byte* out = bytes_.data() + bytes_.size() - width * element;
    if (type_ == DataType::f32) std::memcpy(out, row, width * element);
    if (type_ == DataType::i8) scale_.back() = write_int8(row, out);
    for (std::size_t i = 0; i < width && type_ == DataType::f16; ++i) {
      const std::uint16_t half = float_to_f16(row[i]);
      std::memcpy(out + i * element, &half, element);
    }
  }

  // The largest magnitude becomes 127; the scale.
  float write_int8(const float* row, std::byte* out) const {
    float largest = 0.0f;
    const bool finite = is_finite({row, static_cast<std::size_t>(width_)});
    for (const float* x = row; x != row + width_; ++x) largest = std::max(largest, std::fabs(*x));
    const bool some = finite && largest > 0.0f;
    for (std::ptrdiff_t i = 0; i < width_; ++i) {
      const float level = some ? std::nearbyintf(row[i] / largest * 127.0f) : 0.0f;
      out[i] = static_cast<std::byte>(static_cast<std::int8_t>(level));
    }
    return finite ? largest / 127.0f : kNan;
  }

  DataType type_;
  std::ptrdiff_t width_;
  std::vector<std::byte> bytes_;
  std::vector<float> scale_;
};

}  // namespace clipon::inline CLIPON_ABI

// Operands and weights of each type for the tests of products.
#pragma once

#include <algorithm>
#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>

#include "support.hpp"

namespace support {

using clipon::DataType;
using clipon::index_t;

constexpr DataType kProductTypes[] = {DataType::f32, DataType::bf16, DataType::i8};

/// The values as `type` holds them where that is bf16, else as they are.
inline std::vector<float> rounded(DataType type, std::vector<float> values) {
  if (type != DataType::bf16) return values;
  for (float& x : values) x = clipon::bf16_to_float(clipon::float_to_bf16(x));
  return values;
}

/// Random rows as a product of `type` reads them on the kernels of `table`, which make them; after a ReLU integers have
/// no zero point.
class RandomRows {
 public:
  RandomRows(const clipon::kernels::KernelTable& table, Random& random, DataType type, index_t rows, index_t n,
             bool after_relu = false)
      : floats(random.normals(rows * n)),
        type_(clipon::kernels::operand_type(table, type)),
        stride_(type_ == DataType::f32 ? n : padded(type_, n)) {
    for (float& x : floats) x = after_relu ? std::max(x, 0.0f) : x;
    if (type_ == DataType::f32) return;
    bytes_.resize(static_cast<std::size_t>(rows * stride_) * clipon::size_of(type_));
    scales_.resize(static_cast<std::size_t>(rows));
    table.quantise({floats.data(), n}, rows, n, {bytes_.data(), stride_, type_, scales_.data()});
  }

  [[nodiscard]] clipon::kernels::Operand read() const {
    if (type_ == DataType::f32) return {floats.data(), stride_};
    return {bytes_.data(), stride_, type_, scales_.data()};
  }

  std::vector<float> floats;  // [rows, n], before rounding

 private:
  static index_t padded(DataType type, index_t n) { return clipon::kernels::padded_depth(type, n) + 4; }

  DataType type_;
  index_t stride_;
  std::vector<unsigned char> bytes_;
  std::vector<clipon::kernels::RowScale> scales_;
};

/// Random weights that `type` holds exactly.
class RandomWeights {
 public:
  RandomWeights(Random& random, DataType type, index_t rows, index_t n) : floats_(random.normals(rows * n)) {
    stored = {floats_.data(), nullptr, clipon::is_integer(type) ? DataType::i8 : type, rows, n};
    if (type == DataType::bf16) {
      for (const float x : floats_) halves_.push_back(clipon::float_to_bf16(x));
      stored.data = halves_.data();
    } else if (clipon::is_integer(type)) {
      for (std::size_t i = 0; i < floats_.size(); ++i) {
        bytes_.push_back(static_cast<std::int8_t>(random.whole(-128, 127)));
      }
      for (index_t r = 0; r < rows; ++r) scales_.push_back(0.001f + 0.02f * std::fabs(random.normal()));
      stored.data = bytes_.data();
      stored.scale = scales_.data();
    }
  }

  clipon::kernels::StoredMatrix stored;

 private:
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;
  std::vector<std::int8_t> bytes_;
  std::vector<float> scales_;
};

}  // namespace support

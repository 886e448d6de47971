// Number formats of weights and activations, and their conversions one value at a time.  Layer 0.
// Used wherever a number's format matters; the fast conversions of whole rows are in kernels/micro/convert.hpp.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

using index_t = std::ptrdiff_t;  // sizes and subscripts; signed, so that loops may count down and differences are safe

/// How a tensor's elements are stored.  i16: int8 that products take in 16 bits; no file holds it.
enum class DataType : std::uint8_t { f32, f16, bf16, i8, i16 };

/// Whether these are the whole numbers of int8, which have scales.
constexpr bool is_integer(DataType type) {
  return type == DataType::i8 || type == DataType::i16;
}

constexpr std::size_t size_of(DataType type) {
  return type == DataType::f32 ? 4 : type == DataType::i8 ? 1 : 2;
}

constexpr const char* to_string(DataType type) {
  return type == DataType::f32 ? "f32" : type == DataType::f16 ? "f16" : type == DataType::bf16 ? "bf16" : "int8";
}

// bfloat16 is the upper half of a float.
constexpr float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// Neither NaN nor infinite, by the exponent's bits: -ffast-math takes comparisons with NaN for granted.
constexpr bool is_finite(double value) {
  return (std::bit_cast<std::uint64_t>(value) >> 52 & 0x7ffu) != 0x7ffu;
}
inline bool is_finite(std::span<const float> values) {
  constexpr std::uint32_t exponent = 0x7f800000u;
  bool finite = true;
  for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & exponent) != exponent;
  return finite;
}

/// By its bits, for the same reason.
constexpr bool is_nan(float value) {
  return (std::bit_cast<std::uint32_t>(value) & 0x7fffffffu) > 0x7f800000u;
}
constexpr float kNan = std::bit_cast<float>(0x7fc00000u);

// Round to nearest even, as VCVTNEPS2BF16 and PyTorch do; NaN stays a (quiet) NaN.
constexpr std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (is_nan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
constexpr float f16_to_float(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t fraction = half & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // subnormal: exact in float
  return sign != 0 ? -magnitude : magnitude;
}

// Round to nearest even; above the greatest, 65504, infinity; NaN stays a (quiet) NaN.
constexpr std::uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const auto with_sign = [sign](std::uint32_t half) { return static_cast<std::uint16_t>(sign | half); };
  if (is_nan(value)) return with_sign(0x7e00u);
  if (magnitude >= 0x477ff000u) return with_sign(0x7c00u);  // 65520, halfway to the next step, rounds up
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 leaves multiples of 2^-24 in the lowest bits, rounded
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return with_sign(std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f));
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return with_sign((rounded - (112u << 23)) >> 13);
}

}  // namespace clipon::inline CLIPON_ABI

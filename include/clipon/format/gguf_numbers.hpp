// The numbers of GGUF v3 and of clipon's strict form of it, for what reads and what writes such files.  Layer 3.
// Format: docs/model_format.md; ggml's docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::format {

constexpr std::uint32_t kGgufMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kGgufVersion = 3;
constexpr std::uint32_t kFormatVersion = 1;    // clipon.format_version
constexpr std::size_t kStrictAlignment = 32;   // of tensor data in clipon's files, and in others unless they say more
constexpr std::size_t kLeastAlignment = 8;     // of tensor data in any file: enough for each type below
constexpr std::size_t kMostAlignment = 65536;  // a larger one is nobody's need

/// Of metadata.
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// Of tensor data, those that clipon reads.
enum class TensorType : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8, i8 = 24, bf16 = 30 };

constexpr std::size_t kQ8BlockValues = 32;
constexpr std::size_t kQ8BlockBytes = 34;  // an f16 scale, then the values as signed bytes

}  // namespace clipon::inline CLIPON_ABI::format

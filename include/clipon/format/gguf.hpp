// GGUF v3: typed metadata and a directory of tensors, over bytes that nobody trusts.  Layer 3.
// Called by format/weights.hpp and models/config.hpp.  Format: docs/model_format.md; ggml's docs/gguf.md.
//
// Every count and length is compared with the bytes that are left before anything is allocated or read, so a hostile
// file costs no more memory than its own size.  Strings are views into the file: it must outlive this object.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "clipon/core/checked.hpp"
#include "clipon/core/types.hpp"
#include "clipon/error.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// A metadata value: scalars are widened to the largest type of their kind; arrays keep theirs.
using Value = std::variant<bool, std::uint64_t, std::int64_t, double, std::string_view, std::vector<std::uint64_t>,
                           std::vector<double>, std::vector<std::string_view>>;

/// How GGUF spells the types of tensor data that clipon reads.
enum class TensorType : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8, i8 = 24, bf16 = 30 };

struct TensorInfo {
  std::string_view name;
  TensorType type = TensorType::f32;
  std::vector<index_t> shape;        // slowest dimension first (GGUF stores the reverse)
  std::uint64_t offset = 0;          // in the data section
  std::span<const std::byte> bytes;  // the tensor's data, without padding
};

class Gguf {
 public:
  /// Throws Error (bad_magic, bad_version, truncated, limit_exceeded, bad_type, duplicate, bad_shape, bad_offset).
  Gguf(std::span<const std::byte> file, const LoadOptions& options) : file_(file), options_(options) {
    parse_header();
    parse_metadata();
    parse_tensors();
  }

  /// True for clipon's own files, which are read strictly.
  [[nodiscard]] bool strict() const { return values_.contains("clipon.format_version"); }
  [[nodiscard]] bool has(std::string_view key) const { return values_.contains(key); }
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }

  /// The value of `key` as exactly T; throws missing_key or bad_type.
  template <class T>
  [[nodiscard]] const T& get(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) {
      throw Error(ErrorCode::missing_key, "metadata key '" + std::string(key) + "': expected it, found none");
    }
    const T* value = std::get_if<T>(&found->second);
    if (value == nullptr) {
      throw Error(ErrorCode::bad_type, "metadata key '" + std::string(key) + "': it has another type than expected");
    }
    return *value;
  }

  /// An unsigned number within [low, high]; throws bad_value outside.
  [[nodiscard]] index_t number(std::string_view key, std::uint64_t low, std::uint64_t high) const {
    const std::uint64_t value = get<std::uint64_t>(key);
    if (value < low || value > high) {
      throw Error(ErrorCode::bad_value, "metadata key '" + std::string(key) + "': expected " + std::to_string(low) +
                                            " to " + std::to_string(high) + ", found " + std::to_string(value));
    }
    return static_cast<index_t>(value);
  }

 private:
  [[noreturn]] static void fail(ErrorCode code, const std::string& what) { throw Error(code, "model file: " + what); }

  [[nodiscard]] std::size_t left() const { return file_.size() - position_; }

  template <class T>
  T read() {
    if (left() < sizeof(T)) {
      fail(ErrorCode::truncated, "it ends at byte " + std::to_string(file_.size()) + " inside its header");
    }
    T value;
    std::memcpy(&value, file_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string_view read_string() {
    const auto length = read<std::uint64_t>();
    if (length > options_.max_string_bytes) {
      fail(ErrorCode::limit_exceeded, "a string of " + std::to_string(length) + " bytes at byte " +
                                          std::to_string(position_) + ", expected at most " +
                                          std::to_string(options_.max_string_bytes));
    }
    if (length > left())
      fail(ErrorCode::truncated, "a string at byte " + std::to_string(position_) + " runs past its end");
    const auto* start = reinterpret_cast<const char*>(file_.data() + position_);
    position_ += static_cast<std::size_t>(length);
    return {start, static_cast<std::size_t>(length)};
  }

  void parse_header() {
    if (left() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0) {
      fail(ErrorCode::bad_magic, "expected the letters GGUF at its start, found something else");
    }
    position_ = 4;
    const auto version = read<std::uint32_t>();
    if (version != 3) fail(ErrorCode::bad_version, "expected GGUF version 3, found " + std::to_string(version));
    tensor_count_ = read<std::uint64_t>();
    key_count_ = read<std::uint64_t>();
    if (tensor_count_ > options_.max_tensors) {
      fail(ErrorCode::limit_exceeded, "expected at most " + std::to_string(options_.max_tensors) + " tensors, found " +
                                          std::to_string(tensor_count_));
    }
    if (key_count_ > options_.max_metadata_keys) {
      fail(ErrorCode::limit_exceeded, "expected at most " + std::to_string(options_.max_metadata_keys) +
                                          " metadata keys, found " + std::to_string(key_count_));
    }
  }

  void parse_metadata() {
    for (std::uint64_t i = 0; i < key_count_; ++i) {
      const std::string_view key = read_string();
      Value value = read_value(key, read<std::uint32_t>());
      if (key.empty()) fail(ErrorCode::bad_value, "metadata key " + std::to_string(i) + " has no name");
      if (!values_.emplace(key, std::move(value)).second) {
        fail(ErrorCode::duplicate, "metadata key '" + std::string(key) + "' stands twice");
      }
    }
  }

  // GGUF value types: 0 u8, 1 i8, 2 u16, 3 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 string, 9 array, 10 u64, 11 i64, 12 f64.
  Value read_value(std::string_view key, std::uint32_t type) {
    switch (type) {
      case 0:
      case 2:
      case 4:
      case 10:
        return read_unsigned(type);
      case 1:
        return std::int64_t{read<std::int8_t>()};
      case 3:
        return std::int64_t{read<std::int16_t>()};
      case 5:
        return std::int64_t{read<std::int32_t>()};
      case 11:
        return read<std::int64_t>();
      case 6:
        return double{read<float>()};
      case 12:
        return read<double>();
      case 7: {
        const auto byte = read<std::uint8_t>();
        if (byte > 1)
          fail(ErrorCode::bad_value, "metadata key '" + std::string(key) + "': a bool that is neither 0 nor 1");
        return byte == 1;
      }
      case 8:
        return read_string();
      case 9:
        return read_array(key);
      default:
        fail(ErrorCode::bad_type,
             "metadata key '" + std::string(key) + "': unknown value type " + std::to_string(type));
    }
  }

  std::uint64_t read_unsigned(std::uint32_t type) {
    switch (type) {
      case 0:
        return read<std::uint8_t>();
      case 2:
        return read<std::uint16_t>();
      case 4:
        return read<std::uint32_t>();
      default:
        return read<std::uint64_t>();
    }
  }

  Value read_array(std::string_view key) {
    const auto type = read<std::uint32_t>();
    const auto length = read<std::uint64_t>();
    if (length > options_.max_array_length) {
      fail(ErrorCode::limit_exceeded, "metadata key '" + std::string(key) + "': an array of " + std::to_string(length) +
                                          " elements, expected at most " + std::to_string(options_.max_array_length));
    }
    // The smallest element takes one byte, a string eight for its length: a count that can't fit allocates nothing.
    const std::uint64_t smallest = type == 8 || type == 10 || type == 12 ? 8 : type == 4 || type == 6 ? 4 : 1;
    if (length > left() / smallest)
      fail(ErrorCode::truncated, "metadata key '" + std::string(key) + "': its array runs past the file's end");
    const auto count = static_cast<std::size_t>(length);
    switch (type) {
      case 0:
      case 2:
      case 4:
      case 10: {
        std::vector<std::uint64_t> numbers(count);
        for (auto& number : numbers) number = read_unsigned(type);
        return numbers;
      }
      case 6:
      case 12: {
        std::vector<double> numbers(count);
        for (auto& number : numbers) number = type == 6 ? double{read<float>()} : read<double>();
        return numbers;
      }
      case 8: {
        std::vector<std::string_view> strings(count);
        for (auto& string : strings) string = read_string();
        return strings;
      }
      default:
        return read_other_array(key, type, count);
    }
  }

  // Element types that no key of ours has (signed integers, bool) are stepped over; nested arrays are refused.
  Value read_other_array(std::string_view key, std::uint32_t type, std::size_t count) {
    if (type == 9 || type > 12) {
      fail(ErrorCode::bad_type, "metadata key '" + std::string(key) + "': an array of type " + std::to_string(type));
    }
    std::int64_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
      switch (type) {
        case 1:
        case 7:
          last = std::int64_t{read<std::int8_t>()};  // signed: GGUF types 1 (int8) and 7 (bool)
          break;
        case 3:
          last = read<std::int16_t>();
          break;
        case 5:
          last = read<std::int32_t>();
          break;
        default:
          last = read<std::int64_t>();
          break;
      }
    }
    return last;
  }

  void parse_tensors() {
    if (tensor_count_ > left() / 24)
      fail(ErrorCode::truncated, "its tensor directory runs past its end");  // 24: the least entry
    tensors_.reserve(static_cast<std::size_t>(tensor_count_));
    for (std::uint64_t i = 0; i < tensor_count_; ++i) tensors_.push_back(read_tensor_info());
    const std::uint64_t alignment =
        values_.contains("general.alignment") ? get<std::uint64_t>("general.alignment") : 32;
    if (alignment < 8 || alignment > 65536 || (alignment & (alignment - 1)) != 0 || (strict() && alignment != 32)) {
      fail(ErrorCode::bad_value,
           "metadata key 'general.alignment': expected a power of two (32 in a clipon file), found " +
               std::to_string(alignment));
    }
    const auto start = checked::round_up(position_, alignment);
    if (!start || *start > file_.size()) {
      if (tensors_.empty()) return;
      fail(ErrorCode::truncated, "it ends before its tensor data");
    }
    place_tensors(file_.subspan(static_cast<std::size_t>(*start)), alignment);
  }

  TensorInfo read_tensor_info() {
    TensorInfo tensor;
    tensor.name = read_string();
    const std::string name(tensor.name);
    const auto dimensions = read<std::uint32_t>();
    if (dimensions < 1 || dimensions > 4) {
      fail(ErrorCode::bad_shape,
           "tensor '" + name + "': expected 1 to 4 dimensions, found " + std::to_string(dimensions));
    }
    for (std::uint32_t d = 0; d < dimensions; ++d) {
      const auto extent = read<std::uint64_t>();
      if (extent < 1 || extent > (1ull << 31)) {
        fail(ErrorCode::bad_shape,
             "tensor '" + name + "': dimension " + std::to_string(d) + " is " + std::to_string(extent));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<index_t>(extent));
    }
    const auto type = read<std::uint32_t>();
    if (type != 0 && type != 1 && type != 8 && type != 24 && type != 30) {
      fail(ErrorCode::bad_type,
           "tensor '" + name + "': expected f32, f16, bf16, int8 or q8_0, found GGUF type " + std::to_string(type));
    }
    tensor.type = static_cast<TensorType>(type);
    if (strict() && tensor.type == TensorType::q8_0)
      fail(ErrorCode::bad_type, "tensor '" + name + "': q8_0 in a clipon file");
    tensor.offset = read<std::uint64_t>();
    return tensor;
  }

  // The bytes of a tensor by its shape and type; q8_0 has blocks of 32 values in 34 bytes along its last dimension.
  static std::uint64_t data_size(const TensorInfo& tensor) {
    std::uint64_t elements = 1;
    for (const index_t extent : tensor.shape) {
      const auto product = checked::multiply(elements, static_cast<std::uint64_t>(extent));
      if (!product) fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': its size overflows");
      elements = *product;
    }
    if (tensor.type == TensorType::q8_0) {
      if (tensor.shape.back() % 32 != 0) {
        fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': q8_0 rows must be multiples of 32");
      }
      elements = elements / 32;
    }
    const std::uint64_t unit = tensor.type == TensorType::f32    ? 4
                               : tensor.type == TensorType::i8   ? 1
                               : tensor.type == TensorType::q8_0 ? 34
                                                                 : 2;
    const auto size = checked::multiply(elements, unit);
    if (!size) fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': its size overflows");
    return *size;
  }

  void place_tensors(std::span<const std::byte> data, std::uint64_t alignment) {
    std::uint64_t expected = 0;  // where the next tensor of a contiguous file starts
    std::unordered_map<std::string_view, bool> seen;
    for (TensorInfo& tensor : tensors_) {
      const std::string name(tensor.name);
      if (!seen.emplace(tensor.name, true).second) fail(ErrorCode::duplicate, "tensor '" + name + "' stands twice");
      const std::uint64_t size = data_size(tensor);
      const auto end = checked::add(tensor.offset, size);
      if (tensor.offset % alignment != 0) {
        fail(ErrorCode::bad_offset,
             "tensor '" + name + "': offset " + std::to_string(tensor.offset) + " is not aligned");
      }
      if (strict() ? tensor.offset != expected : tensor.offset < expected) {
        fail(ErrorCode::bad_offset, "tensor '" + name + "': expected offset " + std::to_string(expected) + ", found " +
                                        std::to_string(tensor.offset));
      }
      if (!end || *end > data.size()) {
        fail(ErrorCode::truncated, "tensor '" + name + "': expected " + std::to_string(size) + " bytes at offset " +
                                       std::to_string(tensor.offset) + ", found a data section of " +
                                       std::to_string(data.size()));
      }
      tensor.bytes = data.subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(size));
      expected = checked::round_up(*end, alignment).value_or(*end);
    }
    if (!strict()) return;
    if (expected != data.size()) {
      fail(expected > data.size() ? ErrorCode::truncated : ErrorCode::bad_offset,
           "expected it to end with its data after " + std::to_string(expected) + " bytes, found " +
               std::to_string(data.size()));
    }
    for (const TensorInfo& tensor : tensors_) {
      const auto end = static_cast<std::size_t>(tensor.offset) + tensor.bytes.size();
      for (std::size_t i = end; i % alignment != 0; ++i) {
        if (data[i] != std::byte{0}) {
          fail(ErrorCode::bad_offset, "tensor '" + std::string(tensor.name) + "': its padding is not zero");
        }
      }
    }
  }

  std::span<const std::byte> file_;
  LoadOptions options_;
  std::size_t position_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t key_count_ = 0;
  std::unordered_map<std::string_view, Value> values_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace clipon::inline CLIPON_ABI::format

// GGUF v3: typed metadata and a directory of tensors, over bytes that nobody trusts.  Layer 3.
// Called by whatever reads a model file, a classifier or a probe.  Format: docs/model_format.md; ggml's docs/gguf.md.
//
// Every count and length is compared with the bytes that are left before anything is allocated or read.  Names, strings
// and arrays are views into the file: it must outlive this object.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clipon/core/checked.hpp"
#include "clipon/core/types.hpp"
#include "clipon/error.hpp"
#include "clipon/format/cursor.hpp"
#include "clipon/format/gguf_numbers.hpp"
#include "clipon/format/metadata.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::format {

struct TensorInfo {
  std::string_view name;
  TensorType type = TensorType::f32;
  std::vector<index_t> shape;        // slowest dimension first (GGUF stores the reverse)
  std::uint64_t offset = 0;          // in the data section
  std::span<const std::byte> bytes;  // the tensor's data, without padding
};

class Gguf {
 public:
  /// Throws Error (bad_magic, bad_version, truncated, limit_exceeded, bad_type, bad_value, duplicate, missing_key,
  /// bad_shape, bad_offset).
  Gguf(std::span<const std::byte> file, const LoadOptions& options)
      : file_(file), cursor_(file, options.max_string_bytes) {
    parse_header(options);
    metadata_ = Metadata(cursor_, key_count_, options);
    if (!strict() && metadata_.has_prefix("clipon.")) {  // clip.cpp writes no such key: ours, and damaged
      fail(ErrorCode::missing_key, "it has keys of clipon, but lacks 'clipon.format_version'");
    }
    parse_tensors();
  }

  /// True for clipon's own files, which are read strictly.
  [[nodiscard]] bool strict() const { return metadata_.has("clipon.format_version"); }
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }

  [[nodiscard]] bool has(std::string_view key) const { return metadata_.has(key); }

  /// The value of `key` as exactly T; throws missing_key or bad_type.
  template <class T>
  [[nodiscard]] const T& get(std::string_view key) const {
    return metadata_.get<T>(key);
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
  void parse_header(const LoadOptions& options) {
    if (file_.size() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0) {
      fail(ErrorCode::bad_magic, "expected the letters GGUF at its start, found something else");
    }
    (void)cursor_.take(4);
    const auto version = cursor_.read<std::uint32_t>();
    if (version != kGgufVersion) {
      fail(ErrorCode::bad_version,
           "expected GGUF version " + std::to_string(kGgufVersion) + ", found " + std::to_string(version));
    }
    tensor_count_ = cursor_.read<std::uint64_t>();
    key_count_ = cursor_.read<std::uint64_t>();
    if (tensor_count_ > options.max_tensors) {
      fail(ErrorCode::limit_exceeded, "expected at most " + std::to_string(options.max_tensors) + " tensors, found " +
                                          std::to_string(tensor_count_));
    }
    if (key_count_ > options.max_metadata_keys) {
      fail(ErrorCode::limit_exceeded, "expected at most " + std::to_string(options.max_metadata_keys) +
                                          " metadata keys, found " + std::to_string(key_count_));
    }
  }

  void parse_tensors() {
    constexpr std::size_t least = 8 + 4 + 8 + 4 + 8;  // of an entry: no name, how many dimensions, one, type, offset
    if (tensor_count_ > cursor_.left() / least) fail(ErrorCode::truncated, "its tensor directory runs past its end");
    tensors_.reserve(static_cast<std::size_t>(tensor_count_));
    for (std::uint64_t i = 0; i < tensor_count_; ++i) tensors_.push_back(read_tensor_info());
    const std::uint64_t alignment =
        has("general.alignment") ? get<std::uint64_t>("general.alignment") : kStrictAlignment;
    if (alignment < kLeastAlignment || alignment > kMostAlignment || !std::has_single_bit(alignment) ||
        (strict() && alignment != kStrictAlignment)) {
      fail(ErrorCode::bad_value,
           "metadata key 'general.alignment': expected a power of two from 8 to 65536 (32 in a clipon file), found " +
               std::to_string(alignment));
    }
    const auto start = checked::round_up(cursor_.position(), alignment);
    if (!start || *start > file_.size()) {
      if (tensors_.empty()) return;
      fail(ErrorCode::truncated, "it ends before its tensor data");
    }
    if (strict()) check_padding(file_, cursor_.position(), static_cast<std::size_t>(*start), "the header");
    place_tensors(file_.subspan(static_cast<std::size_t>(*start)), alignment);
  }

  TensorInfo read_tensor_info() {
    TensorInfo tensor;
    tensor.name = cursor_.read_string();
    const std::string name(tensor.name);
    const auto dimensions = cursor_.read<std::uint32_t>();
    if (dimensions < 1 || dimensions > 4) {
      fail(ErrorCode::bad_shape,
           "tensor '" + name + "': expected 1 to 4 dimensions, found " + std::to_string(dimensions));
    }
    for (std::uint32_t d = 0; d < dimensions; ++d) {
      const auto extent = cursor_.read<std::uint64_t>();
      if (extent < 1 || extent > (1ull << 31)) {
        fail(ErrorCode::bad_shape, "tensor '" + name + "': dimension " + std::to_string(d) +
                                       ": expected 1 to 2^31, found " + std::to_string(extent));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<index_t>(extent));
    }
    const auto type = cursor_.read<std::uint32_t>();
    tensor.type = static_cast<TensorType>(type);
    constexpr TensorType read[] = {TensorType::f32, TensorType::f16, TensorType::q8_0, TensorType::i8,
                                   TensorType::bf16};
    if (std::find(std::begin(read), std::end(read), tensor.type) == std::end(read)) {
      fail(ErrorCode::bad_type,
           "tensor '" + name + "': expected f32, f16, bf16, int8 or q8_0, found GGUF type " + std::to_string(type));
    }
    if (strict() && tensor.type == TensorType::q8_0) {
      fail(ErrorCode::bad_type, "tensor '" + name + "': q8_0 in a clipon file");
    }
    tensor.offset = cursor_.read<std::uint64_t>();
    return tensor;
  }

  // The bytes of a tensor by its shape and type; q8_0 has its blocks along its last dimension.
  static std::uint64_t data_size(const TensorInfo& tensor) {
    std::uint64_t elements = 1;
    for (const index_t extent : tensor.shape) {
      const auto product = checked::multiply(elements, static_cast<std::uint64_t>(extent));
      if (!product) fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': its size overflows");
      elements = *product;
    }
    if (tensor.type == TensorType::q8_0) {
      if (tensor.shape.back() % index_t{kQ8BlockValues} != 0) {
        fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': expected q8_0 rows of a multiple of " +
                                       std::to_string(kQ8BlockValues) + ", found " +
                                       std::to_string(tensor.shape.back()));
      }
      elements = elements / kQ8BlockValues;
    }
    const std::uint64_t unit = tensor.type == TensorType::f32    ? 4
                               : tensor.type == TensorType::i8   ? 1
                               : tensor.type == TensorType::q8_0 ? kQ8BlockBytes
                                                                 : 2;
    const auto size = checked::multiply(elements, unit);
    if (!size) fail(ErrorCode::bad_shape, "tensor '" + std::string(tensor.name) + "': its size overflows");
    return *size;
  }

  void check_names() const {
    std::vector<std::string_view> names;
    names.reserve(tensors_.size());
    for (const TensorInfo& tensor : tensors_) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) fail(ErrorCode::duplicate, "tensor '" + std::string(*twice) + "' stands twice");
  }

  void place_tensors(std::span<const std::byte> data, std::uint64_t alignment) {
    std::uint64_t expected = 0;  // where the next tensor of a contiguous file starts
    check_names();
    for (TensorInfo& tensor : tensors_) {
      const std::string name(tensor.name);
      const std::uint64_t size = data_size(tensor);
      const auto end = checked::add(tensor.offset, size);
      if (tensor.offset % alignment != 0) {
        fail(ErrorCode::bad_offset, "tensor '" + name + "': expected an offset that is a multiple of " +
                                        std::to_string(alignment) + ", found " + std::to_string(tensor.offset));
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
      const auto next = checked::round_up(end, alignment);
      check_padding(data, end, static_cast<std::size_t>(*next), "tensor '" + std::string(tensor.name) + "'");
    }
  }

  static void check_padding(std::span<const std::byte> bytes, std::size_t first, std::size_t last,
                            const std::string& what) {
    for (std::size_t i = first; i < last; ++i) {
      if (bytes[i] != std::byte{0}) fail(ErrorCode::bad_offset, what + ": the padding after it is not zero");
    }
  }

  std::span<const std::byte> file_;
  Cursor cursor_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t key_count_ = 0;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace clipon::inline CLIPON_ABI::format

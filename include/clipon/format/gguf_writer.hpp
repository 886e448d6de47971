// Writes small GGUF v3 files of clipon's strict form: metadata, f32 tensors, a CRC32C each.  Layer 3; called by what is
// saved and loaded again (classifiers, linear probes).  The reader is format/gguf.hpp.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/error.hpp"
#include "clipon/format/crc32c.hpp"
#include "clipon/format/gguf_numbers.hpp"
#include "clipon/format/write_file.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// Strings and arrays longer than LoadOptions allows by default throw Error limit_exceeded: a reader would refuse them.
class GgufWriter {
 public:
  explicit GgufWriter(const std::string& architecture) {
    string("general.architecture", architecture);
    u32("clipon.format_version", kFormatVersion);
  }

  void u32(const std::string& name, std::uint32_t value) { key(name, ValueType::u32), raw(value); }
  void f64(const std::string& name, double value) { key(name, ValueType::f64), raw(value); }
  void boolean(const std::string& name, bool value) {
    key(name, ValueType::boolean), raw(static_cast<std::uint8_t>(value ? 1 : 0));
  }
  void string(const std::string& name, const std::string& value) { key(name, ValueType::string), text(value); }
  void strings(const std::string& name, std::span<const std::string> values) {
    array(name, ValueType::string, values.size());
    for (const std::string& value : values) text(value);
  }
  void numbers(const std::string& name, std::span<const std::uint32_t> values) {
    array(name, ValueType::u32, values.size());
    for (const std::uint32_t value : values) raw(value);
  }
  /// shape: slowest dimension first; all above 0.  The values must live until write().
  void tensor(const std::string& name, std::vector<std::uint64_t> shape, std::span<const float> values) {
    tensors_.push_back({name, std::move(shape), std::as_bytes(values)});
  }

  /// Throws Error io, and limit_exceeded for a file of more than `max_bytes`.  Once only.
  void write(const std::string& path, std::uint64_t max_bytes) {
    const std::vector<std::byte> file = build();
    if (file.size() > max_bytes) {
      throw Error(ErrorCode::limit_exceeded, path + ": expected to write at most " + std::to_string(max_bytes) +
                                                 " bytes, found " + std::to_string(file.size()));
    }
    write_file(path, file);
  }

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::span<const std::byte> bytes;
  };

  template <class T>
  void raw(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    body_.insert(body_.end(), bytes, bytes + sizeof value);
  }
  static void check(const char* what, std::size_t found, std::size_t most) {
    if (found <= most) return;
    throw Error(ErrorCode::limit_exceeded, std::string(what) + " to write: expected at most " + std::to_string(most) +
                                               ", found " + std::to_string(found));
  }
  void text(const std::string& value) {
    check("bytes of a string", value.size(), limits_.max_string_bytes);
    raw(std::uint64_t{value.size()});
    const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
    body_.insert(body_.end(), bytes, bytes + value.size());
  }
  void key(const std::string& name, ValueType type) {
    ++keys_;
    text(name);
    raw(type);
  }
  void array(const std::string& name, ValueType type, std::size_t length) {
    check("elements of an array", length, limits_.max_array_length);
    key(name, ValueType::array);
    raw(type);
    raw(std::uint64_t{length});
  }
  void pad() { body_.resize(round_up(body_.size(), kStrictAlignment)); }

  [[nodiscard]] std::vector<std::byte> build() {
    std::vector<std::uint32_t> checksums;
    for (const Tensor& tensor : tensors_) checksums.push_back(crc32c(tensor.bytes));
    numbers("clipon.crc32c", checksums);
    std::vector<std::byte> metadata = std::move(body_);
    body_.clear();
    raw(kGgufMagic);
    raw(kGgufVersion);
    raw(std::uint64_t{tensors_.size()});
    raw(keys_);
    body_.insert(body_.end(), metadata.begin(), metadata.end());
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      text(tensor.name);
      raw(static_cast<std::uint32_t>(tensor.shape.size()));
      for (std::size_t d = tensor.shape.size(); d-- > 0;) raw(tensor.shape[d]);  // the file's order is reversed
      raw(TensorType::f32);
      raw(offset);
      offset += round_up(tensor.bytes.size(), kStrictAlignment);
    }
    pad();
    for (const Tensor& tensor : tensors_) {
      body_.insert(body_.end(), tensor.bytes.begin(), tensor.bytes.end());
      pad();
    }
    return std::move(body_);
  }

  LoadOptions limits_;
  std::vector<std::byte> body_;
  std::uint64_t keys_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace clipon::inline CLIPON_ABI::format

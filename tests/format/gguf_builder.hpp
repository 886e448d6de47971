// Writes small GGUF files in memory, right ones and wrong ones.
#pragma once

#include <clipon/format/gguf.hpp>
#include <clipon/format/weights.hpp>
#include <cstring>
#include <string>
#include <vector>

namespace support {

class GgufBuilder {
 public:
  template <class T>
  GgufBuilder& raw(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    metadata_.insert(metadata_.end(), bytes, bytes + sizeof value);
    return *this;
  }
  GgufBuilder& text(const std::string& value) {
    raw(std::uint64_t{value.size()});
    const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
    metadata_.insert(metadata_.end(), bytes, bytes + value.size());
    return *this;
  }
  GgufBuilder& key(const std::string& name, std::uint32_t type) {
    ++keys_;
    return text(name).raw(type);
  }
  GgufBuilder& u32(const std::string& name, std::uint32_t value) { return key(name, 4).raw(value); }
  GgufBuilder& string(const std::string& name, const std::string& value) { return key(name, 8).text(value); }

  /// A tensor of f32; its data follow in order, padded to 32 bytes.
  GgufBuilder& tensor(const std::string& name, const std::vector<std::uint64_t>& shape, std::vector<float> values) {
    tensors_.push_back({name, shape, std::move(values)});
    return *this;
  }

  /// The file.  With checksums it also gets clipon.format_version and clipon.crc32c.
  std::vector<std::byte> build(bool strict = true) {
    if (strict) {
      u32("clipon.format_version", 1);
      key("clipon.crc32c", 9).raw(std::uint32_t{4}).raw(std::uint64_t{tensors_.size()});
      for (const Tensor& tensor : tensors_) raw(clipon::format::crc32c(std::as_bytes(std::span(tensor.values))));
    }
    std::vector<std::byte> body = std::move(metadata_);
    metadata_.clear();
    raw(std::uint32_t{0x46554747}).raw(version).raw(std::uint64_t{tensors_.size()}).raw(keys_);
    metadata_.insert(metadata_.end(), body.begin(), body.end());
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      text(tensor.name).raw(static_cast<std::uint32_t>(tensor.shape.size()));
      for (std::size_t d = tensor.shape.size(); d-- > 0;) raw(tensor.shape[d]);  // the file's order is reversed
      raw(std::uint32_t{0}).raw(offset + offset_error);
      offset += padded(tensor.values.size() * 4);
    }
    metadata_.resize(padded(metadata_.size()));
    for (const Tensor& tensor : tensors_) {
      const auto bytes = std::as_bytes(std::span(tensor.values));
      metadata_.insert(metadata_.end(), bytes.begin(), bytes.end());
      metadata_.resize(padded(metadata_.size()));
    }
    return std::move(metadata_);
  }

  std::uint32_t version = 3;
  std::uint64_t offset_error = 0;

 private:
  static std::size_t padded(std::size_t n) { return (n + 31) / 32 * 32; }
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::vector<float> values;
  };
  std::vector<std::byte> metadata_;
  std::uint64_t keys_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace support

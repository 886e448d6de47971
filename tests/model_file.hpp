// Model files made in memory, right ones and wrong ones: every field can be set to what it should not be.
#pragma once

#include <clipon/format/crc32c.hpp>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace support {

/// The bytes of a number, little-endian.
template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string sized(const std::string& text) {
  return raw(std::uint64_t{text.size()}) + text;
}

/// How GGUF numbers its types.
enum : std::uint32_t { kU32 = 4, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };
enum : std::uint32_t { kTensorF32 = 0, kTensorF16 = 1, kTensorQ8 = 8, kTensorI8 = 24, kTensorBf16 = 30 };

struct Key {
  std::string name;
  std::uint32_t type = 0;
  std::string value;  // all that follows the type
};

struct Tensor {
  std::string name;
  std::vector<std::uint64_t> shape;  // slowest dimension first
  std::string data;
  std::uint32_t type = kTensorF32;
  std::optional<std::uint64_t> offset;      // else where the data come to lie
  std::optional<std::uint32_t> dimensions;  // else shape.size()
};

struct ModelFile {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> key_count, tensor_count;
  std::vector<Key> keys;
  std::vector<Tensor> tensors;
  std::string tail;

  ModelFile& u32(const std::string& name, std::uint32_t value) { return key(name, kU32, raw(value)); }
  ModelFile& f32(const std::string& name, float value) { return key(name, kF32, raw(value)); }
  ModelFile& boolean(const std::string& name, bool value) { return key(name, kBool, std::string(1, value ? 1 : 0)); }
  ModelFile& text(const std::string& name, const std::string& value) { return key(name, kString, sized(value)); }
  ModelFile& strings(const std::string& name, const std::vector<std::string>& values) {
    std::string elements;
    for (const std::string& value : values) elements += sized(value);
    return key(name, kArray, raw(std::uint32_t{kString}) + raw(std::uint64_t{values.size()}) + elements);
  }
  template <class T>
  ModelFile& numbers(const std::string& name, std::uint32_t type, const std::vector<T>& values) {
    std::string elements;
    for (const T& value : values) elements += raw(value);
    return key(name, kArray, raw(type) + raw(std::uint64_t{values.size()}) + elements);
  }
  ModelFile& key(const std::string& name, std::uint32_t type, const std::string& value) {
    keys.push_back({name, type, value});
    return *this;
  }
  ModelFile& tensor(const std::string& name, const std::vector<std::uint64_t>& shape,
                    const std::vector<float>& values) {
    std::string data;
    for (const float value : values) data += raw(value);
    tensors.push_back({name, shape, data, kTensorF32, {}, {}});
    return *this;
  }

  /// Makes it a clipon file: the format's version and the checksums of the tensors as they are now.
  ModelFile& seal() {
    std::vector<std::uint32_t> checksums;
    for (const Tensor& t : tensors) checksums.push_back(clipon::format::crc32c(std::as_bytes(std::span(t.data))));
    std::erase_if(keys, [](const Key& k) { return k.name == "clipon.crc32c" || k.name == "clipon.format_version"; });
    return u32("clipon.format_version", 1).numbers("clipon.crc32c", kU32, checksums);
  }

  /// All before the data of the tensors, with its padding.
  [[nodiscard]] std::string header() const {
    std::string out =
        magic + raw(version) + raw(tensor_count.value_or(tensors.size())) + raw(key_count.value_or(keys.size()));
    for (const Key& k : keys) out += sized(k.name) + raw(k.type) + k.value;
    std::uint64_t offset = 0;
    for (const Tensor& t : tensors) {
      out += sized(t.name) + raw(t.dimensions.value_or(static_cast<std::uint32_t>(t.shape.size())));
      for (std::size_t d = t.shape.size(); d-- > 0;) out += raw(t.shape[d]);  // the file's order is reversed
      out += raw(t.type) + raw(t.offset.value_or(offset));
      offset = padded(offset + t.data.size());
    }
    return out + std::string(padded(out.size()) - out.size(), '\0');
  }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::string out = header();
    for (const Tensor& t : tensors) {
      out += t.data;
      out.resize(padded(out.size()), '\0');
    }
    out += tail;
    std::vector<std::byte> file(out.size());
    std::memcpy(file.data(), out.data(), out.size());
    return file;
  }

  Key& key_named(const std::string& name) { return named(keys, name); }
  Tensor& tensor_named(const std::string& name) { return named(tensors, name); }

  static std::uint64_t padded(std::uint64_t n) { return (n + 31) / 32 * 32; }

 private:
  template <class T>
  static T& named(std::vector<T>& all, const std::string& name) {
    for (T& one : all) {
      if (one.name == name) return one;
    }
    all.emplace_back();
    all.back().name = name;
    return all.back();
  }
};

}  // namespace support

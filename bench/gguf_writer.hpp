// Writes a model file of random tensors into memory: GGUF v3, as the strict profile of docs/model_format.md wants it,
// but for the checksums, which are zeros.  Called by random_model.cpp.
#pragma once

#include <clipon/core/aligned.hpp>
#include <clipon/core/types.hpp>
#include <clipon/format/gguf_numbers.hpp>
#include <clipon/parallel/parallel_for.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using clipon::index_t;
using clipon::format::TensorType;
using clipon::format::ValueType;
using TensorShape = std::vector<index_t>;  // slowest dimension first

class GgufWriter {
 public:
  void number(const std::string& key, index_t value) {
    key_of(key, ValueType::u32).raw(static_cast<std::uint32_t>(value));
  }
  void real(const std::string& key, float value) { key_of(key, ValueType::f32).raw(value); }
  void truth(const std::string& key, bool value) {
    key_of(key, ValueType::boolean).raw(static_cast<std::uint8_t>(value));
  }
  void text(const std::string& key, const std::string& value) { key_of(key, ValueType::string).string(value); }
  void numbers(const std::string& key, const std::vector<std::uint32_t>& values) {
    array(key, ValueType::u32, values.size());
    for (const std::uint32_t value : values) raw(value);
  }
  void reals(const std::string& key, std::initializer_list<float> values) {
    array(key, ValueType::f32, values.size());
    for (const float value : values) raw(value);
  }
  void texts(const std::string& key, const std::vector<std::string>& values) {
    array(key, ValueType::string, values.size());
    for (const std::string& value : values) string(value);
  }

  /// Values around `mean` of standard deviation `deviation`: bf16 where `matrix`, else f32.
  void tensor(const std::string& name, const TensorShape& shape, float deviation, float mean = 0.0f,
              bool matrix = true) {
    tensors_.push_back({name, shape, deviation, mean, matrix, 0});
  }
  void vector(const std::string& name, const TensorShape& shape, float deviation, float mean = 0.0f) {
    tensor(name, shape, deviation, mean, false);
  }

  std::vector<std::byte> finish() {
    numbers("clipon.crc32c", std::vector<std::uint32_t>(tensors_.size()));  // zeros: nobody checks them
    std::vector<std::byte> metadata = std::move(bytes_);
    bytes_.clear();
    raw(clipon::format::kGgufMagic).raw(clipon::format::kGgufVersion).raw(std::uint64_t{tensors_.size()}).raw(keys_);
    bytes_.insert(bytes_.end(), metadata.begin(), metadata.end());
    std::size_t size = 0;
    for (Tensor& tensor : tensors_) {
      string(tensor.name).raw(static_cast<std::uint32_t>(tensor.shape.size()));
      for (std::size_t d = tensor.shape.size(); d-- > 0;) raw(static_cast<std::uint64_t>(tensor.shape[d]));
      raw(tensor.matrix ? TensorType::bf16 : TensorType::f32).raw(std::uint64_t{size});
      tensor.offset = size;
      size += padded(tensor.elements() * (tensor.matrix ? 2 : 4));
    }
    const std::size_t data = padded(bytes_.size());
    bytes_.resize(data + size);
    clipon::parallel::parallel_for({clipon::parallel::available_threads()}, static_cast<index_t>(tensors_.size()),
                                   [&](index_t i) {
                                     const Tensor& tensor = tensors_[static_cast<std::size_t>(i)];
                                     fill(tensor, static_cast<std::uint64_t>(i), bytes_.data() + data + tensor.offset);
                                   });
    return std::move(bytes_);
  }

 private:
  struct Tensor {
    std::string name;
    TensorShape shape;
    float deviation;
    float mean;
    bool matrix;
    std::size_t offset;
    [[nodiscard]] std::size_t elements() const {
      std::size_t product = 1;
      for (const index_t extent : shape) product *= static_cast<std::size_t>(extent);
      return product;
    }
  };

  static std::size_t padded(std::size_t n) { return clipon::round_up(n, clipon::format::kStrictAlignment); }

  template <class T>
  GgufWriter& raw(const T& value) {
    const auto* start = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), start, start + sizeof value);
    return *this;
  }
  GgufWriter& string(const std::string& value) {
    raw(std::uint64_t{value.size()});
    const auto* start = reinterpret_cast<const std::byte*>(value.data());
    bytes_.insert(bytes_.end(), start, start + value.size());
    return *this;
  }
  GgufWriter& key_of(const std::string& key, ValueType type) {
    ++keys_;
    return string(key).raw(type);
  }
  void array(const std::string& key, ValueType type, std::size_t n) {
    key_of(key, ValueType::array).raw(type).raw(std::uint64_t{n});
  }

  // Uniform numbers by splitmix64 (Steele et al. 2014), the same for each seed on every machine.
  static void fill(const Tensor& tensor, std::uint64_t seed, std::byte* out) {
    const float reach = tensor.deviation * std::sqrt(12.0f);  // of a uniform distribution
    std::uint64_t state = seed << 40;
    for (std::size_t i = 0, n = tensor.elements(); i < n; ++i) {
      std::uint64_t z = state += 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      const float unit = static_cast<float>(z >> 40) * 0x1p-24f - 0.5f;
      const float value = tensor.mean + reach * unit;
      const std::uint16_t half = clipon::float_to_bf16(value);
      if (tensor.matrix) {
        std::memcpy(out + 2 * i, &half, sizeof half);
      } else {
        std::memcpy(out + 4 * i, &value, sizeof value);
      }
    }
  }

  std::vector<std::byte> bytes_;
  std::uint64_t keys_ = 0;
  std::vector<Tensor> tensors_;
};

}  // namespace bench

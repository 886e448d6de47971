// The tensors of a model file by name: shape checked, checksum verified, finite.  Layer 3; called by models/.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/format/crc32c.hpp"
#include "clipon/format/gguf.hpp"

namespace clipon::inline CLIPON_ABI::format {

using TensorShape = std::vector<index_t>;  // slowest dimension first

inline std::string to_string(const TensorShape& shape) {
  std::string text = "[";
  for (const index_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

/// A tensor's data in one of the types that kernels widen; q8_0 has become f32.
struct TensorView {
  DataType type = DataType::f32;
  const void* data = nullptr;
  const float* scale = nullptr;  // [rows], int8 only
  index_t rows = 0;              // the slowest dimension
  index_t columns = 0;           // all others
};

// An exponent of all ones means infinity or NaN.  Integer tests, which -ffast-math leaves alone.
inline bool all_finite(const TensorInfo& tensor) {
  const auto scan = [&](auto exponent) {
    using Word = decltype(exponent);
    Word hit = 0;
    for (std::size_t i = 0; i + sizeof(Word) <= tensor.bytes.size(); i += sizeof(Word)) {
      Word word;
      std::memcpy(&word, tensor.bytes.data() + i, sizeof word);
      hit = static_cast<Word>(hit | ((word & exponent) == exponent ? 1 : 0));
    }
    return hit == 0;
  };
  switch (tensor.type) {
    case TensorType::f32:
      return scan(std::uint32_t{0x7f800000u});
    case TensorType::f16:
      return scan(std::uint16_t{0x7c00u});
    case TensorType::bf16:
      return scan(std::uint16_t{0x7f80u});
    default:
      return true;
  }
}

class Weights {
 public:
  /// Views into `file`, which must outlive this object.
  Weights(const Gguf& file, const LoadOptions& options) : strict_(file.strict()), options_(options) {
    for (const TensorInfo& tensor : file.tensors()) by_name_.emplace(tensor.name, &tensor);
    if (strict_ && options.verify_checksums) read_checksums(file);
  }

  [[nodiscard]] bool has(const std::string& name) const { return by_name_.contains(name); }

  /// The tensor `name` of exactly this shape.  Throws missing_key, bad_shape, checksum_mismatch or not_finite.
  TensorView get(const std::string& name, const TensorShape& shape) {
    const TensorInfo& tensor = find(name, shape);
    TensorView view;
    view.data = tensor.bytes.data();
    view.rows = shape[0];
    view.columns = 1;
    for (std::size_t d = 1; d < shape.size(); ++d) view.columns *= shape[d];
    switch (tensor.type) {
      case TensorType::f32:
        view.type = DataType::f32;
        break;
      case TensorType::f16:
        view.type = DataType::f16;
        break;
      case TensorType::bf16:
        view.type = DataType::bf16;
        break;
      case TensorType::i8:
        view.type = DataType::i8;
        view.scale = scales(name + ".scale", shape[0]);
        break;
      case TensorType::q8_0:
        view.data = widen_q8_0(tensor);
        view.type = DataType::f32;
        break;
    }
    return view;
  }

  /// A bias, gain or small table as floats.
  std::vector<float> get_vector(const std::string& name, const TensorShape& shape) {
    const TensorView view = get(name, shape);
    std::vector<float> values(static_cast<std::size_t>(view.rows * view.columns));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = element(view, i);
    return values;
  }

  /// After the last get: a strict file must not hold tensors that the architecture has no use for.
  void finish() const {
    if (!strict_) return;
    for (const auto& [name, tensor] : by_name_) {
      if (!taken_.contains(name)) {
        throw Error(ErrorCode::bad_value, "tensor '" + std::string(name) + "': this architecture has no such tensor");
      }
    }
  }

 private:
  void read_checksums(const Gguf& file) {
    const auto& checksums = file.get<std::vector<std::uint64_t>>("clipon.crc32c");
    if (checksums.size() != file.tensors().size()) {
      throw Error(ErrorCode::bad_shape, "metadata key 'clipon.crc32c': expected " +
                                            std::to_string(file.tensors().size()) + " checksums, found " +
                                            std::to_string(checksums.size()));
    }
    for (std::size_t i = 0; i < checksums.size(); ++i) checksum_.emplace(file.tensors()[i].name, checksums[i]);
  }

  const TensorInfo& find(const std::string& name, const TensorShape& shape) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      throw Error(ErrorCode::missing_key,
                  "tensor '" + name + "': expected it with shape " + to_string(shape) + ", found none");
    }
    const TensorInfo& tensor = *found->second;
    if (tensor.shape != shape) {
      throw Error(ErrorCode::bad_shape,
                  "tensor '" + name + "': expected shape " + to_string(shape) + ", found " + to_string(tensor.shape));
    }
    taken_.insert(tensor.name);
    const auto checksum = checksum_.find(tensor.name);
    if (checksum != checksum_.end() && crc32c(tensor.bytes) != checksum->second) {
      throw Error(ErrorCode::checksum_mismatch,
                  "tensor '" + name + "': its bytes are not those that were written (CRC32C differs)");
    }
    if (!options_.allow_non_finite && !all_finite(tensor)) {
      throw Error(ErrorCode::not_finite, "tensor '" + name + "': expected finite weights, found NaN or infinity");
    }
    return tensor;
  }

  const float* scales(const std::string& name, index_t rows) {
    const TensorInfo& tensor = find(name, {rows});
    if (tensor.type != TensorType::f32) throw Error(ErrorCode::bad_type, "tensor '" + name + "': expected f32");
    return reinterpret_cast<const float*>(tensor.bytes.data());  // 32-byte aligned in a strict file
  }

  // q8_0: blocks of 32 values, an f16 scale and 32 signed bytes each (clip.cpp's quantised files).
  const float* widen_q8_0(const TensorInfo& tensor) {
    const std::size_t blocks = tensor.bytes.size() / 34;
    AlignedBuffer<float>& wide = widened_.emplace_back(blocks * 32);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::byte* block = tensor.bytes.data() + b * 34;
      std::uint16_t half = 0;
      std::memcpy(&half, block, 2);
      const float scale = f16_to_float(half);
      for (std::size_t i = 0; i < 32; ++i)
        wide[b * 32 + i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
    }
    return wide.data();
  }

  static float element(const TensorView& view, std::size_t i) {
    switch (view.type) {
      case DataType::f32:
        return static_cast<const float*>(view.data)[i];
      case DataType::f16:
        return f16_to_float(static_cast<const std::uint16_t*>(view.data)[i]);
      case DataType::bf16:
        return bf16_to_float(static_cast<const std::uint16_t*>(view.data)[i]);
      case DataType::i8: {
        const std::size_t row = i / static_cast<std::size_t>(view.columns);
        return static_cast<float>(static_cast<const std::int8_t*>(view.data)[i]) * view.scale[row];
      }
    }
    return 0.0f;
  }

  bool strict_;
  LoadOptions options_;
  std::unordered_map<std::string_view, const TensorInfo*> by_name_;
  std::unordered_map<std::string_view, std::uint64_t> checksum_;
  std::unordered_set<std::string_view> taken_;
  std::vector<AlignedBuffer<float>> widened_;
};

}  // namespace clipon::inline CLIPON_ABI::format

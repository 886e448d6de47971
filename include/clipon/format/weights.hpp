// The tensors of a model file by name: shape checked, checksum verified, finite.  Layer 3; called by models/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
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
  const auto scan = [&](auto exponent, std::size_t step) {
    using Word = decltype(exponent);
    Word hit = 0;
    for (std::size_t i = 0; i + sizeof(Word) <= tensor.bytes.size(); i += step) {
      Word word;
      std::memcpy(&word, tensor.bytes.data() + i, sizeof word);
      hit = static_cast<Word>(hit | ((word & exponent) == exponent ? 1 : 0));
    }
    return hit == 0;
  };
  switch (tensor.type) {
    case TensorType::f32:
      return scan(std::uint32_t{0x7f800000u}, 4);
    case TensorType::f16:
      return scan(std::uint16_t{0x7c00u}, 2);
    case TensorType::bf16:
      return scan(std::uint16_t{0x7f80u}, 2);
    case TensorType::q8_0:
      return scan(std::uint16_t{0x7c00u}, kQ8BlockBytes);
    case TensorType::i8:
      break;
  }
  return true;
}

class Weights {
 public:
  enum class Pass : std::uint8_t {
    shapes,  // names, shapes and types are checked, every view is empty: a tower is built of nothing
    data,
  };

  /// Views into `file`, which must outlive this object.
  Weights(const Gguf& file, const LoadOptions& options, Pass pass = Pass::data)
      : file_(file), options_(options), pass_(pass), taken_(file.tensors().size()) {
    for (std::size_t i = 0; i < file.tensors().size(); ++i) by_name_.emplace_back(file.tensors()[i].name, i);
    std::sort(by_name_.begin(), by_name_.end());
    if (file.strict() && options.verify_checksums) read_checksums();
  }

  [[nodiscard]] bool has(std::string_view name) const { return index_of(name) < taken_.size(); }
  [[nodiscard]] bool only_shapes() const { return pass_ == Pass::shapes; }

  /// The tensor `name` of exactly this shape.  Throws missing_key, bad_shape, bad_type, checksum_mismatch or
  /// not_finite.
  TensorView get(const std::string& name, const TensorShape& shape) {
    const TensorInfo& tensor = find(name, shape);
    if (only_shapes()) {
      if (tensor.type == TensorType::i8) (void)scales(name + ".scale", shape[0]);
      return {};
    }
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
    if (!file_.strict()) return;
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (!taken_[i]) {
        throw Error(ErrorCode::bad_value,
                    "tensor '" + std::string(file_.tensors()[i].name) + "': this architecture has no such tensor");
      }
    }
  }

 private:
  void read_checksums() {
    checksums_ = file_.metadata().numbers("clipon.crc32c");
    if (checksums_.size() != file_.tensors().size()) {
      throw Error(ErrorCode::bad_shape, "metadata key 'clipon.crc32c': expected " +
                                            std::to_string(file_.tensors().size()) + " checksums, found " +
                                            std::to_string(checksums_.size()));
    }
  }

  // Of file_.tensors(); their number where none has the name.
  [[nodiscard]] std::size_t index_of(std::string_view name) const {
    const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                        [](const auto& entry, std::string_view x) { return entry.first < x; });
    return found != by_name_.end() && found->first == name ? found->second : taken_.size();
  }

  const TensorInfo& find(const std::string& name, const TensorShape& shape) {
    const std::size_t index = index_of(name);
    if (index == taken_.size()) {
      throw Error(ErrorCode::missing_key,
                  "tensor '" + name + "': expected it with shape " + to_string(shape) + ", found none");
    }
    const TensorInfo& tensor = file_.tensors()[index];
    if (tensor.shape != shape) {
      throw Error(ErrorCode::bad_shape,
                  "tensor '" + name + "': expected shape " + to_string(shape) + ", found " + to_string(tensor.shape));
    }
    taken_[index] = true;
    if (only_shapes()) return tensor;
    if (!checksums_.empty() && crc32c(tensor.bytes) != checksums_[index]) {
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
    const auto* scale = reinterpret_cast<const float*>(tensor.bytes.data());  // 32-byte aligned in a strict file
    if (std::any_of(scale, scale + rows, [](float s) { return is_finite(double{s}) && s < 0.0f; })) {
      throw Error(ErrorCode::bad_value, "tensor '" + name + "': expected no number below 0");
    }
    return scale;
  }

  // clip.cpp's quantised files.
  const float* widen_q8_0(const TensorInfo& tensor) {
    const std::size_t blocks = tensor.bytes.size() / kQ8BlockBytes;
    AlignedBuffer<float>& wide = widened_.emplace_back(blocks * kQ8BlockValues);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::byte* block = tensor.bytes.data() + b * kQ8BlockBytes;
      std::uint16_t half = 0;
      std::memcpy(&half, block, 2);
      const float scale = f16_to_float(half);
      for (std::size_t i = 0; i < kQ8BlockValues; ++i)
        wide[b * kQ8BlockValues + i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
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
      case DataType::i16:
        break;  // no tensor's
    }
    return 0.0f;
  }

  const Gguf& file_;
  LoadOptions options_;
  Pass pass_;
  std::vector<std::pair<std::string_view, std::size_t>> by_name_;  // in order; the index in file_.tensors(), as below
  std::vector<std::uint64_t> checksums_;                           // of all tensors, or empty
  std::vector<bool> taken_;
  std::vector<AlignedBuffer<float>> widened_;
};

}  // namespace clipon::inline CLIPON_ABI::format

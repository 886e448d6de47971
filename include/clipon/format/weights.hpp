// The tensors of a model file by name: shape checked, and, at once or when they are packed, checksum and finiteness.
// Layer 3; called by models/ and for saved classifiers and probes.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/format/check_tensor.hpp"
#include "clipon/format/gguf.hpp"
#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::format {

using TensorShape = std::vector<index_t>;  // slowest dimension first

inline std::string to_string(const TensorShape& shape) {
  std::string text = "[";
  for (const index_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

/// A tensor whose bytes nobody has looked at yet.
struct UncheckedTensor {
  std::size_t index = 0;             // of the file's tensors
  std::span<const std::byte> bytes;  // as stored
  kernels::StoredMatrix view;        // [slowest dimension, all others]; q8_0 has become f32
};

class Weights {
 public:
  enum class Pass : std::uint8_t {
    shapes,  // names, shapes and types are checked, every view is empty: a tower is built of nothing
    data,
  };

  /// Views into `file`, which must outlive this object; `threads` check them.
  Weights(const Gguf& file, const LoadOptions& options, Pass pass = Pass::data, parallel::Threads threads = {})
      : file_(file), pass_(pass), threads_(threads), taken_(file.tensors().size()) {
    for (std::size_t i = 0; i < file.tensors().size(); ++i) by_name_.emplace_back(file.tensors()[i].name, i);
    std::sort(by_name_.begin(), by_name_.end());
    if (file.strict() && options.verify_checksums) read_checksums();
    asked_ = {!checksums_.empty(), !options.allow_non_finite};
  }

  [[nodiscard]] bool has(std::string_view name) const { return index_of(name) < taken_.size(); }
  [[nodiscard]] bool only_shapes() const { return pass_ == Pass::shapes; }

  /// The tensor `name` of exactly this shape.  Throws missing_key, bad_shape, bad_type, checksum_mismatch or
  /// not_finite.
  kernels::StoredMatrix get(const std::string& name, const TensorShape& shape) {
    const UncheckedTensor tensor = get_unchecked(name, shape);
    check(tensor.index);
    return tensor.view;
  }

  /// The same for a caller that checks the bytes later: check_bytes() on all of them, in order, then accept().
  UncheckedTensor get_unchecked(const std::string& name, const TensorShape& shape) {
    const std::size_t index = find(name, shape);
    const TensorInfo& tensor = file_.tensors()[index];
    if (only_shapes()) {
      if (tensor.type == TensorType::i8) (void)scales(name + ".scale", shape[0]);
      return {};
    }
    return {index, tensor.bytes, view_of(tensor, name)};
  }

  /// What some of a tensor's bytes show; from any thread.
  [[nodiscard]] TensorCheck check_bytes(std::size_t index, std::span<const std::byte> bytes) const {
    return format::check_bytes(file_.tensors()[index].type, bytes, asked_);
  }

  /// Throws checksum_mismatch or not_finite, where that was found.
  void accept(std::size_t index, const TensorCheck& found) const {
    const std::string name(file_.tensors()[index].name);
    if (asked_.checksum && found.crc32c != checksums_[index]) {
      throw Error(ErrorCode::checksum_mismatch,
                  "tensor '" + name + "': its bytes are not those that were written (CRC32C differs)");
    }
    if (!found.finite) {
      throw Error(ErrorCode::not_finite, "tensor '" + name + "': expected finite weights, found NaN or infinity");
    }
  }

  /// A bias, gain or small table as floats.
  std::vector<float> get_vector(const std::string& name, const TensorShape& shape) {
    const kernels::StoredMatrix view = get(name, shape);
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
  void check(std::size_t index) const {
    if (!only_shapes()) accept(index, check_tensor(file_.tensors()[index], asked_, threads_));
  }

  kernels::StoredMatrix view_of(const TensorInfo& tensor, const std::string& name) {
    const TensorShape& shape = tensor.shape;
    kernels::StoredMatrix view;
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

  std::size_t find(const std::string& name, const TensorShape& shape) {
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
    return index;
  }

  const float* scales(const std::string& name, index_t rows) {
    const std::size_t index = find(name, {rows});
    check(index);
    const TensorInfo& tensor = file_.tensors()[index];
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

  static float element(const kernels::StoredMatrix& view, std::size_t i) {
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
  Pass pass_;
  parallel::Threads threads_;
  std::vector<std::pair<std::string_view, std::size_t>> by_name_;  // in order; the index in file_.tensors(), as below
  Questions asked_;
  std::vector<std::uint64_t> checksums_;  // of all tensors, or empty
  std::vector<bool> taken_;
  std::vector<AlignedBuffer<float>> widened_;
};

}  // namespace clipon::inline CLIPON_ABI::format

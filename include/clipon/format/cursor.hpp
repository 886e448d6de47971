// Reads numbers and strings of a model file from front to back, none beyond its end.  Layer 3; used by gguf.hpp and
// metadata.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "clipon/error.hpp"

namespace clipon::inline CLIPON_ABI::format {

[[noreturn]] inline void fail(ErrorCode code, const std::string& what) {
  throw Error(code, "GGUF: " + what);
}

/// Little-endian, as the file and the machines that clipon runs on.
class Cursor {
 public:
  Cursor() = default;
  Cursor(std::span<const std::byte> bytes, std::size_t max_string_bytes)
      : bytes_(bytes), max_string_bytes_(max_string_bytes) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - position_; }

  /// The next n bytes.  Throws Error truncated.
  std::span<const std::byte> take(std::size_t n) {
    if (n > left()) fail(ErrorCode::truncated, "it ends at byte " + std::to_string(bytes_.size()) + " in its header");
    position_ += n;
    return bytes_.subspan(position_ - n, n);
  }

  template <class T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  /// A string with its length before it: a view into the file.  Throws Error limit_exceeded or truncated.
  std::string_view read_string() {
    const auto length = read<std::uint64_t>();
    if (length > max_string_bytes_) {
      fail(ErrorCode::limit_exceeded, "a string of " + std::to_string(length) + " bytes at byte " +
                                          std::to_string(position_) + ", expected at most " +
                                          std::to_string(max_string_bytes_));
    }
    const auto text = take(static_cast<std::size_t>(length));
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t max_string_bytes_ = 0;
  std::size_t position_ = 0;
};

}  // namespace clipon::inline CLIPON_ABI::format

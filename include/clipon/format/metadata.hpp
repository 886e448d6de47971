// The typed keys of a model file.  Layer 3; part of Gguf.  GGUF value types: ggml's docs/gguf.md.
//
// An array stays where it lies in the file until somebody asks for its elements, so a hostile file's metadata costs
// next to no memory whatever it claims.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "clipon/core/checked.hpp"
#include "clipon/core/types.hpp"
#include "clipon/format/cursor.hpp"
#include "clipon/format/gguf_numbers.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// The bytes of a number of this type; nothing for strings, arrays and types that GGUF does not have.
constexpr std::optional<std::size_t> size_of(ValueType type) {
  constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const auto index = static_cast<std::uint32_t>(type);
  if (index >= std::size(sizes) || sizes[index] == 0) return std::nullopt;
  return sizes[index];
}

/// Elements of one type, checked to lie within the file.
struct Array {
  ValueType type = ValueType::u8;
  std::size_t count = 0;
  Cursor elements;
};

/// Scalars are widened to the largest type of their kind.
using Value = std::variant<bool, std::uint64_t, std::int64_t, double, std::string_view, Array>;

class Metadata {
 public:
  Metadata() = default;

  /// `count` keys.  Throws Error truncated, limit_exceeded, bad_type, bad_value or duplicate.
  Metadata(Cursor& cursor, std::uint64_t count, const LoadOptions& options) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string_view key = cursor.read_string();
      if (key.empty()) fail(ErrorCode::bad_value, "metadata key " + std::to_string(i) + " has no name");
      values_.emplace_back(key, read_value(cursor, key, options));
    }
    std::sort(values_.begin(), values_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const auto twice = std::adjacent_find(values_.begin(), values_.end(),
                                          [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != values_.end()) {
      fail(ErrorCode::duplicate, "metadata key '" + std::string(twice->first) + "' stands twice");
    }
  }

  [[nodiscard]] bool has(std::string_view key) const {
    const auto found = not_before(key);
    return found != values_.end() && found->first == key;
  }

  [[nodiscard]] bool has_prefix(std::string_view prefix) const {
    const auto first = not_before(prefix);
    return first != values_.end() && first->first.starts_with(prefix);
  }

  /// The value of `key` as exactly T; throws missing_key or bad_type.
  template <class T>
  [[nodiscard]] const T& get(std::string_view key) const {
    const auto found = not_before(key);
    if (found == values_.end() || found->first != key) {
      throw Error(ErrorCode::missing_key, "metadata key '" + std::string(key) + "': expected it, found none");
    }
    const T* value = std::get_if<T>(&found->second);
    if (value == nullptr) wrong_type(key, kKinds[Value(T{}).index()], kKinds[found->second.index()]);
    return *value;
  }

  /// Arrays of unsigned numbers, of real ones, of strings: missing_key or bad_type.
  [[nodiscard]] std::vector<std::uint64_t> numbers(std::string_view key) const {
    return elements<std::uint64_t>(key, [&](Cursor& cursor, ValueType type) -> std::uint64_t {
      switch (type) {
        case ValueType::u8:
          return cursor.read<std::uint8_t>();
        case ValueType::u16:
          return cursor.read<std::uint16_t>();
        case ValueType::u32:
          return cursor.read<std::uint32_t>();
        case ValueType::u64:
          return cursor.read<std::uint64_t>();
        default:
          wrong_type(key, "an array of unsigned numbers", "other elements");
      }
    });
  }
  [[nodiscard]] std::vector<double> reals(std::string_view key) const {
    return elements<double>(key, [&](Cursor& cursor, ValueType type) -> double {
      if (type == ValueType::f32) return double{cursor.read<float>()};
      if (type == ValueType::f64) return cursor.read<double>();
      wrong_type(key, "an array of real numbers", "other elements");
    });
  }
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const {
    return elements<std::string>(key, [&](Cursor& cursor, ValueType type) {
      if (type != ValueType::string) wrong_type(key, "an array of texts", "other elements");
      return std::string(cursor.read_string());
    });
  }
  [[nodiscard]] std::size_t length(std::string_view key) const { return get<Array>(key).count; }

 private:
  using Entry = std::pair<std::string_view, Value>;

  [[nodiscard]] std::vector<Entry>::const_iterator not_before(std::string_view key) const {
    return std::lower_bound(values_.begin(), values_.end(), key,
                            [](const Entry& entry, std::string_view x) { return entry.first < x; });
  }

  // in the order of Value's alternatives
  static constexpr const char* kKinds[] = {
      "true or false", "an unsigned number", "a signed number", "a real number", "a text", "an array"};

  [[noreturn]] static void wrong_type(std::string_view key, const char* expected, const char* found) {
    throw Error(ErrorCode::bad_type,
                "metadata key '" + std::string(key) + "': expected " + expected + ", found " + found);
  }

  template <class T, class Read>
  [[nodiscard]] std::vector<T> elements(std::string_view key, const Read& read) const {
    Array array = get<Array>(key);
    std::vector<T> values;
    values.reserve(array.count);
    for (std::size_t i = 0; i < array.count; ++i) values.push_back(read(array.elements, array.type));
    return values;
  }

  static Value read_value(Cursor& cursor, std::string_view key, const LoadOptions& options) {
    const auto type = static_cast<ValueType>(cursor.read<std::uint32_t>());
    switch (type) {
      case ValueType::u8:
        return std::uint64_t{cursor.read<std::uint8_t>()};
      case ValueType::u16:
        return std::uint64_t{cursor.read<std::uint16_t>()};
      case ValueType::u32:
        return std::uint64_t{cursor.read<std::uint32_t>()};
      case ValueType::u64:
        return cursor.read<std::uint64_t>();
      case ValueType::i8:
        return std::int64_t{cursor.read<std::int8_t>()};
      case ValueType::i16:
        return std::int64_t{cursor.read<std::int16_t>()};
      case ValueType::i32:
        return std::int64_t{cursor.read<std::int32_t>()};
      case ValueType::i64:
        return cursor.read<std::int64_t>();
      case ValueType::f32:
        return double{cursor.read<float>()};
      case ValueType::f64:
        return cursor.read<double>();
      case ValueType::boolean: {
        const auto byte = cursor.read<std::uint8_t>();
        if (byte > 1) {
          fail(ErrorCode::bad_value, "metadata key '" + std::string(key) + "': a bool that is neither 0 nor 1");
        }
        return byte == 1;
      }
      case ValueType::string:
        return cursor.read_string();
      case ValueType::array:
        return read_array(cursor, key, options);
    }
    fail(ErrorCode::bad_type, "metadata key '" + std::string(key) + "': unknown value type " +
                                  std::to_string(static_cast<std::uint32_t>(type)));
  }

  static Array read_array(Cursor& cursor, std::string_view key, const LoadOptions& options) {
    const auto type = static_cast<ValueType>(cursor.read<std::uint32_t>());
    const auto length = cursor.read<std::uint64_t>();
    if (length > options.max_array_length) {
      fail(ErrorCode::limit_exceeded, "metadata key '" + std::string(key) + "': an array of " + std::to_string(length) +
                                          " elements, expected at most " + std::to_string(options.max_array_length));
    }
    const auto count = static_cast<std::size_t>(length);
    Array array{type, count, cursor};
    if (type == ValueType::string) {
      for (std::size_t i = 0; i < count; ++i) (void)cursor.read_string();
    } else if (const auto size = size_of(type)) {
      const auto bytes = checked::multiply(length, *size);
      if (!bytes || *bytes > cursor.left()) {
        fail(ErrorCode::truncated, "metadata key '" + std::string(key) + "': its array runs past the file's end");
      }
      (void)cursor.take(static_cast<std::size_t>(*bytes));
    } else {
      fail(ErrorCode::bad_type, "metadata key '" + std::string(key) + "': an array of type " +
                                    std::to_string(static_cast<std::uint32_t>(type)));
    }
    return array;
  }

  std::vector<Entry> values_;  // in order: no file can choose names that make finding one slow
};

}  // namespace clipon::inline CLIPON_ABI::format

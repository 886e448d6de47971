// The one exception type of clipon and its codes.  PUBLIC, layer 0.
//
// Whatever is wrong with a file, a picture, a text or an argument is reported as clipon::Error; besides it only
// std::bad_alloc leaves the library.  The message names the thing, what was expected and what was found, on one line.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

#include "clipon/core/config.hpp"
#include "clipon/core/utf8.hpp"

namespace clipon::inline CLIPON_ABI {

/// What kind of thing went wrong; stable across releases, made to be switched on.
enum class ErrorCode {
  io,                 ///< the operating system refused: missing file, no permission, read error, not a regular file
  truncated,          ///< the data ends before the header said it would
  bad_magic,          ///< not a file of this kind at all
  bad_version,        ///< the right kind of file, in a version that this library does not read
  limit_exceeded,     ///< a count or size is above its named limit; of pictures: image_too_large
  missing_key,        ///< the model file lacks a metadata key that it must have
  bad_type,           ///< a key or tensor has another type than expected
  bad_value,          ///< a value outside its range
  bad_shape,          ///< a tensor or array has another shape than the architecture asks for
  bad_offset,         ///< a tensor overlaps another, leaves a hole, is not aligned, or has no zeros as padding
  duplicate,          ///< a key or tensor stands twice
  not_finite,         ///< a weight or pixel is NaN or infinite, or an embedding has no direction
  checksum_mismatch,  ///< the bytes are not those that were written
  image_unsupported,  ///< a picture format or variant that clipon does not read; the message names it
  image_corrupt,      ///< the bytes claim to be a picture but can't be decoded, or are of no format that clipon knows
  image_too_large,    ///< more pixels or bytes than DecodeOptions allows
  invalid_utf8,       ///< text that is not UTF-8; the message gives the byte offset
  text_too_long,      ///< more tokens than the model's context, and truncation was not asked for; or more bytes than
                      ///< max_bytes
  invalid_argument,   ///< a call with arguments that make no sense (null pointer, empty labels, wrong size)
  unsupported,        ///< the model or this CPU can't do what was asked (no such tower, ISA or precision)
};

/// The code's name as it stands in the enum, e.g. "bad_shape".
constexpr const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::io:
      return "io";
    case ErrorCode::truncated:
      return "truncated";
    case ErrorCode::bad_magic:
      return "bad_magic";
    case ErrorCode::bad_version:
      return "bad_version";
    case ErrorCode::limit_exceeded:
      return "limit_exceeded";
    case ErrorCode::missing_key:
      return "missing_key";
    case ErrorCode::bad_type:
      return "bad_type";
    case ErrorCode::bad_value:
      return "bad_value";
    case ErrorCode::bad_shape:
      return "bad_shape";
    case ErrorCode::bad_offset:
      return "bad_offset";
    case ErrorCode::duplicate:
      return "duplicate";
    case ErrorCode::not_finite:
      return "not_finite";
    case ErrorCode::checksum_mismatch:
      return "checksum_mismatch";
    case ErrorCode::image_unsupported:
      return "image_unsupported";
    case ErrorCode::image_corrupt:
      return "image_corrupt";
    case ErrorCode::image_too_large:
      return "image_too_large";
    case ErrorCode::invalid_utf8:
      return "invalid_utf8";
    case ErrorCode::text_too_long:
      return "text_too_long";
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unsupported:
      return "unsupported";
  }
  return "unknown";
}

/// `message` as one printable line of UTF-8: names in it come from files that nobody trusts, and may hold line breaks,
/// terminal escapes, ill-formed bytes (all become \xNN) or a megabyte of letters (the middle is left out).
inline std::string one_line(std::string_view message) {
  constexpr std::size_t longest = 1024;
  std::string line;
  bool cut = message.size() <= longest;
  for (std::size_t i = 0; i < message.size();) {
    if (!cut && i >= longest / 2) {
      line += " ... ";
      i = message.size() - longest / 2;
      const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0u) == 0x80u; };
      for (int rest = 0; rest < 3 && continues(message[i]); ++rest) ++i;  // of a character that is cut
      cut = true;
    }
    const utf8::DecodedStep step = utf8::decode_step(message.substr(i));
    // C0 and C1 controls, the line and paragraph separators, what turns the direction of writing
    const std::int32_t c = step.code_point;
    const bool printable =
        c >= 0x20 && (c < 0x7f || c > 0x9f) && (c < 0x2028 || c > 0x202e) && (c < 0x2066 || c > 0x2069) && c != 0xfeff;
    for (std::size_t end = i + step.bytes; i < end; ++i) {
      const auto byte = static_cast<unsigned char>(message[i]);
      if (printable) {
        line += message[i];
      } else {
        for (const char part : {'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15u]}) line += part;
      }
    }
  }
  return line;
}

/// A number for a message, of six significant digits: std::to_string has six decimals, and 0.000000 for a small one.
inline std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

/// A fingerprint or checksum: eight digits, more only where the number has them.
inline std::string hexadecimal(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%08llx", static_cast<unsigned long long>(value));
  return text;
}

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string_view message) : std::runtime_error(one_line(message)), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

namespace detail {

/// body(); an Error that leaves it begins with `thing`, a file mostly.
template <class Body>
auto naming(const std::string& thing, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(error.code(), thing + ": " + error.what());
  }
}

}  // namespace detail

}  // namespace clipon::inline CLIPON_ABI

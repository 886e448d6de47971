// Image: a picture in memory.  PUBLIC, layer 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "clipon/format/read_file.hpp"
#include "clipon/image/decode.hpp"
#include "clipon/image/pixels.hpp"

namespace clipon::inline CLIPON_ABI {

/// A decoded picture, 8 bits a channel, in the channels of its file.  Cheap to copy: copies share the pixels, which
/// nothing changes.
class Image {
 public:
  /// Reads and decodes a JPEG, PNG or BMP (uncompressed, of Windows 3 or later, not of 16 bits a pixel) file; JPEG to
  /// the bytes that Pillow gives where clipon was built with libjpeg-turbo (CLIPON_WITH_TURBOJPEG, which CMake and
  /// meson define where they find it), else by stb_image; of 16 bits a channel the upper eight.  Throws Error io,
  /// truncated (it became shorter meanwhile), image_unsupported, image_corrupt or image_too_large; the message begins
  /// with the path.
  [[nodiscard]] static Image read(const std::string& path, const DecodeOptions& options = {}) {
    const std::vector<std::byte> bytes =
        format::read_file(path, options.max_file_bytes, "picture", ErrorCode::image_too_large);
    return detail::naming(path, [&] { return decode(bytes, options); });
  }

  /// Decodes the bytes of a JPEG, PNG or BMP file, of a std::string say std::as_bytes(std::span(body)).  Throws as read
  /// does.
  [[nodiscard]] static Image decode(std::span<const std::byte> bytes, const DecodeOptions& options = {}) {
    return Image(image::decode(bytes, options));
  }

  /// A picture of the caller's pixels, which are copied: interleaved 8-bit channels in the order red, green, blue, rows
  /// from the top, row_stride bytes from row to row (0: rows lie one after the other).  Throws Error invalid_argument
  /// for a null pointer, a size below 1 or above 2^24, or a stride shorter than a row.
  [[nodiscard]] static Image from_rgb(const std::uint8_t* pixels, std::ptrdiff_t width, std::ptrdiff_t height,
                                      std::ptrdiff_t row_stride = 0) {
    return from_pixels(pixels, width, height, row_stride, image::Layout::rgb);
  }
  /// As from_rgb, with a fourth channel, alpha (0: transparent), that takes part in resizing (premultiplied, as Pillow
  /// does) and is then dropped: where it is 0, resized pixels are black.  A fourth byte that means nothing must be 255.
  [[nodiscard]] static Image from_rgba(const std::uint8_t* pixels, std::ptrdiff_t width, std::ptrdiff_t height,
                                       std::ptrdiff_t row_stride = 0) {
    return from_pixels(pixels, width, height, row_stride, image::Layout::rgba);
  }
  /// As from_rgb, with one channel.
  [[nodiscard]] static Image from_gray(const std::uint8_t* pixels, std::ptrdiff_t width, std::ptrdiff_t height,
                                       std::ptrdiff_t row_stride = 0) {
    return from_pixels(pixels, width, height, row_stride, image::Layout::gray);
  }

  [[nodiscard]] std::ptrdiff_t width() const { return pixels_->width; }
  [[nodiscard]] std::ptrdiff_t height() const { return pixels_->height; }
  [[nodiscard]] const image::Pixels& pixels() const { return *pixels_; }

 private:
  explicit Image(image::Pixels pixels) : pixels_(std::make_shared<const image::Pixels>(std::move(pixels))) {}

  static Image from_pixels(const std::uint8_t* source, std::ptrdiff_t width, std::ptrdiff_t height,
                           std::ptrdiff_t row_stride, image::Layout layout) {
    constexpr std::ptrdiff_t longest = 1 << 24;
    if (source == nullptr || width < 1 || height < 1 || width > longest || height > longest) {
      throw Error(ErrorCode::invalid_argument, "pixels: expected a pointer and 1 to 2^24 pixels a side, found " +
                                                   std::string(source == nullptr ? "null, " : "") +
                                                   std::to_string(width) + " x " + std::to_string(height));
    }
    const std::ptrdiff_t row_bytes = width * image::channels_of(layout);
    if (row_stride == 0) row_stride = row_bytes;
    std::ptrdiff_t last = 0;
    if (row_stride < row_bytes || __builtin_mul_overflow(row_stride, height, &last)) {
      throw Error(ErrorCode::invalid_argument,
                  "pixels: expected a row stride of at least " + std::to_string(row_bytes) +
                      " bytes, and rows that fit in memory, found " + std::to_string(row_stride));
    }
    image::Pixels pixels(width, height, layout);
    for (std::ptrdiff_t y = 0; y < height; ++y) {
      std::memcpy(pixels.data.data() + y * row_bytes, source + y * row_stride, static_cast<std::size_t>(row_bytes));
    }
    return Image(std::move(pixels));
  }

  std::shared_ptr<const image::Pixels> pixels_;
};

}  // namespace clipon::inline CLIPON_ABI

// The body of image::decode.  Layer 3; part of decode.hpp, include that.  With stb.hpp and turbojpeg.hpp the only place
// that knows a decoder.
//
// Formats are told by their first bytes.  The header is read by us first, so that limits hold before anything is
// allocated and so that the picture keeps the mode that Pillow would give it; stb_image, or libjpeg-turbo for JPEG
// where the build has it, then decodes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/error.hpp"
#include "clipon/image/bmp.hpp"
#include "clipon/image/bytes.hpp"
#include "clipon/image/decode.hpp"
#include "clipon/image/jpeg.hpp"
#include "clipon/image/orientation.hpp"
#include "clipon/image/png.hpp"
#include "clipon/image/stb.hpp"
#if defined(CLIPON_WITH_TURBOJPEG)
#include "clipon/image/turbojpeg.hpp"
#endif

namespace clipon::inline CLIPON_ABI::image {

/// The name of a picture format that clipon does not read, or null.
inline const char* name_of_other_format(std::span<const std::byte> file) {
  struct Format {
    std::string_view magic;
    std::size_t at;
    const char* name;
  };
  using namespace std::string_view_literals;
  constexpr Format formats[] = {
      {"GIF8"sv, 0, "GIF"},
      {"WEBP"sv, 8, "WebP"},
      {"II*\0"sv, 0, "TIFF"},
      {"MM\0*"sv, 0, "TIFF"},
      {"II+\0"sv, 0, "BigTIFF"},
      {"MM\0+"sv, 0, "BigTIFF"},
      {"ftypavi"sv, 4, "AVIF"},
      {"ftyphei"sv, 4, "HEIC"},
      {"ftyphev"sv, 4, "HEIC"},
      {"ftypmif1"sv, 4, "HEIF"},
      {"ftypmsf1"sv, 4, "HEIF"},
      {"8BPS"sv, 0, "PSD"},
      {"<svg"sv, 0, "SVG"},
      {"<?xml"sv, 0, "XML or SVG"},
      {"%PDF"sv, 0, "PDF"},
      {"\xff\x0a"sv, 0, "JPEG XL"},
      {"\0\0\0\x0cJXL "sv, 0, "JPEG XL"},
      {"\0\0\0\x0cjP  "sv, 0, "JPEG 2000"},
      {"P1"sv, 0, "PBM"},
      {"P2"sv, 0, "PGM"},
      {"P3"sv, 0, "PPM"},
      {"P4"sv, 0, "PBM"},
      {"P5"sv, 0, "PGM"},
      {"P6"sv, 0, "PPM"},
      {"P7"sv, 0, "PAM"},
      {"<!DOCTYPE"sv, 0, "HTML"},
      {"<!doctype"sv, 0, "HTML"},
      {"<html"sv, 0, "HTML"},
      {"#?RADIANCE"sv, 0, "Radiance HDR"},
      {"\x76\x2f\x31\x01"sv, 0, "OpenEXR"},
      {"\0\0\1\0"sv, 0, "ICO"},
      {"qoif"sv, 0, "QOI"},
      {"DDS "sv, 0, "DDS"},
  };
  for (const Format& format : formats) {
    if (starts_with(file, format.magic, format.at)) return format.name;
  }
  return nullptr;
}

inline void check_limits(const char* format, std::uint64_t width, std::uint64_t height, const DecodeOptions& options) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width == 0 || height == 0) {
    throw Error(ErrorCode::image_corrupt, std::string(format) + ": expected at least one pixel, found " + size);
  }
  if (width > options.max_side || height > options.max_side || height > options.max_pixels / width) {
    throw Error(ErrorCode::image_too_large, std::string(format) + ": expected at most " +
                                                std::to_string(options.max_side) + " pixels a side and " +
                                                std::to_string(options.max_pixels) + " in all, found " + size);
  }
}

/// stb_image's pixels, in the file's own channels, cut down to those of `layout`.
inline Pixels decode_with_stb(const char* format, std::span<const std::byte> file, Layout layout, bool nearest,
                              std::uint64_t budget) {
  namespace stb = detail::stb;
  const stb::DecoderBudget scope(budget);
  int width = 0;
  int height = 0;
  int channels = 0;
  const std::unique_ptr<stb::stbi_uc, void (*)(void*)> data(
      stb::clipon_stbi_load_from_memory(reinterpret_cast<const stb::stbi_uc*>(file.data()),
                                        static_cast<int>(file.size()), &width, &height, &channels, 0),
      stb::release);
  if (!data) {
    if (stb::allowance.out_of_memory) throw std::bad_alloc();
    if (stb::allowance.exceeded) {
      throw Error(ErrorCode::image_too_large,
                  std::string(format) + ": decoding it takes more than " + std::to_string(budget) + " bytes");
    }
    throw Error(ErrorCode::image_corrupt, std::string(format) + ": " + stb::clipon_stbi_failure_reason());
  }
  const index_t kept = channels_of(layout);
  if (channels < kept) {
    throw Error(ErrorCode::image_corrupt, std::string(format) + ": expected " + std::to_string(kept) +
                                              " channels, found " + std::to_string(channels));
  }
  Pixels pixels(width, height, layout, nearest);
  const index_t count = pixels.width * pixels.height;
  if (kept == channels) {
    std::memcpy(pixels.data.data(), data.get(), static_cast<std::size_t>(pixels.bytes()));
  } else {  // alpha that stb_image made of a tRNS chunk, which the reference ignores
    for (index_t i = 0; i < count; ++i) {
      for (index_t c = 0; c < kept; ++c) pixels.data.data()[i * kept + c] = data.get()[i * channels + c];
    }
  }
  return pixels;
}

// What a JPEG may cost.  The coefficients (2 bytes each) wait in memory for the last scan, and each scan is
// a pass over all of them.  A sound encoder writes about ten scans.
inline void check_jpeg_work(const JpegHeader& header, std::size_t file_bytes, const DecodeOptions& options) {
  constexpr std::uint64_t usual_scans = 10;
  const std::uint64_t pixels = std::uint64_t{header.width} * header.height;
  if (pixels / 512 > file_bytes) {  // a block of 64 pixels takes at least one bit in the first scan that has it
    throw Error(ErrorCode::image_corrupt, "JPEG: it has too few bytes for a picture of its size");
  }
  const std::uint64_t bytes_a_pixel = static_cast<std::uint64_t>(header.components) * (header.progressive ? 3 : 1);
  if (pixels * bytes_a_pixel > options.max_decoder_bytes) {
    throw Error(ErrorCode::image_too_large,
                "JPEG: decoding it takes more than " + std::to_string(options.max_decoder_bytes) + " bytes");
  }
  if (static_cast<std::uint64_t>(header.scans) * pixels / usual_scans > options.max_pixels) {
    throw Error(ErrorCode::image_too_large,
                "JPEG: expected about ten scans in a picture of this size, found " + std::to_string(header.scans));
  }
}

// Decoded pixels of up to 4 bytes, a second copy of them in the decoder, and the file's own size for its buffers.
inline std::uint64_t decoder_budget(std::uint64_t pixels, std::size_t file_bytes, const DecodeOptions& options) {
  const std::uint64_t needed = pixels * 32 + 4 * std::uint64_t{file_bytes} + (1u << 20);
  return needed < options.max_decoder_bytes ? needed : options.max_decoder_bytes;
}

inline Pixels decode_png(std::span<const std::byte> file, const DecodeOptions& options) {
  const PngHeader header = read_png_header(file);
  check_limits("PNG", header.width, header.height, options);
  check_png_size(header);
  if (header.has_empty_idat) return decode_png(without_empty_idats(file), options);
  Layout layout = Layout::rgb;  // colour types 2 and 3
  if (header.colour_type == 0) layout = Layout::gray;
  if (header.colour_type == 4) layout = Layout::gray_alpha;
  if (header.colour_type == 6) layout = Layout::rgba;
  const bool nearest = header.colour_type == 3 || (header.colour_type == 0 && header.bit_depth == 1);
  const std::uint64_t pixels = std::uint64_t{header.width} * header.height;
  const std::uint64_t budget = decoder_budget(pixels, file.size(), options);
  if (header.colour_type == 3 && header.bit_depth <= 8 && header.palette_bytes < std::size_t{3} << header.bit_depth) {
    const auto whole = with_whole_png_palette(file, header.palette_at, header.palette_bytes, header.bit_depth);
    return decode_with_stb("PNG", whole, layout, nearest, budget);
  }
  return decode_with_stb("PNG", file, layout, nearest, budget);
}

inline Pixels decode_jpeg_with_stb(std::span<const std::byte> file, const JpegHeader& header,
                                   const DecodeOptions& options) {
  if (header.components == 4) {
    throw Error(
        ErrorCode::image_unsupported,
        "JPEG: CMYK needs a build with libjpeg-turbo (CLIPON_WITH_TURBOJPEG), and colours sampled in a usual way");
  }
  // decoded in whole units of up to 32 pixels a side, which is much for a picture one pixel wide
  const std::uint64_t count = std::uint64_t{round_up(header.width, 32)} * round_up(header.height, 32);
  const Layout layout = header.components == 1 ? Layout::gray : Layout::rgb;
  return decode_with_stb("JPEG", file, layout, false, decoder_budget(count, file.size(), options));
}

inline Pixels decode_jpeg(std::span<const std::byte> file, const DecodeOptions& options) {
  const JpegHeader header = read_jpeg_header(file);
  check_limits("JPEG", header.width, header.height, options);
  if (header.components != 1 && header.components != 3 && header.components != 4) {
    throw Error(ErrorCode::image_unsupported,
                "JPEG: expected 1, 3 or 4 components, found " + std::to_string(header.components));
  }
  check_jpeg_work(header, file.size(), options);
  std::optional<Pixels> pixels;
#if defined(CLIPON_WITH_TURBOJPEG)
  pixels = decode_with_turbojpeg(file, header);
#endif
  if (!pixels) pixels = decode_jpeg_with_stb(file, header, options);
  if (options.apply_exif_orientation) return upright(std::move(*pixels), header.orientation);
  return std::move(*pixels);
}

/// Uncompressed bitmaps: 24 or 32 bits a pixel, or a palette.
inline Pixels decode_bmp(std::span<const std::byte> file, const DecodeOptions& options) {
  const BmpHeader header = read_bmp_header(file);
  check_limits("BMP", header.width, header.height, options);
  check_bmp_rows(header, file.size());
  const bool gray = is_gray_ramp(header, file);
  const bool nearest = header.bits <= 8 && !gray;
  const std::uint64_t pixels = std::uint64_t{header.width} * header.height;
  const std::uint64_t budget = decoder_budget(pixels, file.size(), options);
  const std::vector<std::byte> plain = plain_bmp(file, header, gray);
  return decode_with_stb("BMP", plain.empty() ? file : plain, Layout::rgb, nearest, budget);
}

CLIPON_BODY Pixels decode(std::span<const std::byte> file, const DecodeOptions& options) {
  // stb_image counts bytes in an int; up to 1 KiB of colours that a palette lacks, and the last row's padding, are put
  // into its copy of a file.
  constexpr std::uint64_t longest = 0x7fffffff - 1024 - 3;
  const std::uint64_t most = std::min(options.max_file_bytes, longest);
  if (file.size() > most) {
    throw Error(ErrorCode::image_too_large, "picture: expected a file of at most " + std::to_string(most) +
                                                " bytes, found " + std::to_string(file.size()));
  }
  if (starts_with(file, {reinterpret_cast<const char*>(kPngSignature.data()), kPngSignature.size()})) {
    return decode_png(file, options);
  }
  if (starts_with(file, "\xff\xd8\xff")) return decode_jpeg(file, options);
  if (starts_with(file, "BM")) return decode_bmp(file, options);
  const char* other = name_of_other_format(file);
  if (other != nullptr) {
    throw Error(ErrorCode::image_unsupported, std::string("picture: expected JPEG, PNG or BMP, found ") + other);
  }
  throw Error(ErrorCode::image_corrupt, file.empty() ? "picture: expected JPEG, PNG or BMP, found no bytes"
                                                     : "picture: expected JPEG, PNG or BMP, found none of them");
}

}  // namespace clipon::inline CLIPON_ABI::image

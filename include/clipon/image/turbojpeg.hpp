// JPEG by libjpeg-turbo, which decodes exactly as Pillow does and faster than stb_image.  Layer 3; only decoders.hpp
// includes it, where the build defines CLIPON_WITH_TURBOJPEG (and links turbojpeg).
#pragma once

#include <turbojpeg.h>

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "clipon/error.hpp"
#include "clipon/image/jpeg.hpp"
#include "clipon/image/pixels.hpp"

namespace clipon::inline CLIPON_ABI::image {

// A failed malloc is one error of many, in libjpeg's words or in TurboJPEG's.
inline bool is_out_of_memory(const std::string& message) {
  return message.find("nsufficient memory") != std::string::npos ||
         message.find("emory allocation failure") != std::string::npos;
}

// Warnings that say nothing of missing or wrong data: bytes between segments, a version or colour code of the future,
// the numbers of a progressive scan in a sequential one.  Pillow, too, decodes such files.
inline bool is_harmless(const std::string& message) {
  for (const char* words : {"extraneous bytes before marker", "unknown JFIF revision number",
                            "Unknown Adobe color transform code", "Invalid SOS parameters for sequential JPEG"}) {
    if (message.find(words) != std::string::npos) return true;
  }
  return false;
}

/// Throws what a call of TurboJPEG that did not give 0 means.
inline void check_turbojpeg(tjhandle decoder, int status) {
  if (status == 0) return;
  const std::string message = tjGetErrorStr2(decoder);
  if (is_out_of_memory(message)) throw std::bad_alloc();
  if (tjGetErrorCode(decoder) == TJERR_WARNING && is_harmless(message)) return;
  throw Error(ErrorCode::image_corrupt, "JPEG: " + message);
}

constexpr std::uint32_t kLibjpegMaxSide = 65500;  // JPEG_MAX_DIMENSION of jmorecfg.h

// How colours are sampled, other than in the usual ways: libjpeg decodes it, TurboJPEG before 3.0 has no name for it.
inline bool is_nameless_sampling(const std::string& message) {
  return message.find("Could not determine subsampling type") != std::string::npos;
}

/// None where the installed TurboJPEG has no name for the picture's sampling.  Throws Error image_corrupt, or
/// image_unsupported above libjpeg's own limit.
inline std::optional<Pixels> decode_with_turbojpeg(std::span<const std::byte> file, const JpegHeader& header) {
  if (header.width > kLibjpegMaxSide || header.height > kLibjpegMaxSide) {
    throw Error(ErrorCode::image_unsupported,
                "JPEG: libjpeg reads at most " + std::to_string(kLibjpegMaxSide) + " pixels a side");
  }
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
  if (!decoder) throw std::bad_alloc();
  const Layout layout = header.components == 1 ? Layout::gray : header.components == 4 ? Layout::cmyk : Layout::rgb;
  const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
  const auto size = static_cast<unsigned long>(file.size());
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  const int status = tjDecompressHeader3(decoder.get(), bytes, size, &width, &height, &subsampling, &colours);
  if (status != 0 && is_nameless_sampling(tjGetErrorStr2(decoder.get()))) return std::nullopt;
  check_turbojpeg(decoder.get(), status);
  if (static_cast<std::uint32_t>(width) != header.width || static_cast<std::uint32_t>(height) != header.height) {
    throw Error(ErrorCode::image_corrupt, "JPEG: it has two frames of different size");
  }
  const int format = layout == Layout::gray ? TJPF_GRAY : layout == Layout::cmyk ? TJPF_CMYK : TJPF_RGB;
  Pixels pixels(header.width, header.height, layout);
  check_turbojpeg(decoder.get(),
                  tjDecompress2(decoder.get(), bytes, size, pixels.data.data(), width, 0, height, format, 0));
  if (layout == Layout::cmyk) {  // Adobe's files store the inks inverted, and so does everybody: Pillow inverts too
    for (index_t i = 0; i < pixels.bytes(); ++i)
      pixels.data.data()[i] = static_cast<std::uint8_t>(255 - pixels.data.data()[i]);
  }
  return pixels;
}

}  // namespace clipon::inline CLIPON_ABI::image

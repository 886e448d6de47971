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
#include <vector>

#include "clipon/error.hpp"
#include "clipon/image/jpeg.hpp"
#include "clipon/image/pixels.hpp"
#include "clipon/image/plain_jpeg.hpp"

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

/// What TurboJPEG warned of in a call that gave `status`: of several warnings the first; "" for none.  Throws what
/// an error means.
inline std::string turbojpeg_warning(tjhandle decoder, int status) {
  if (status == 0) return {};
  std::string message = tjGetErrorStr2(decoder);
  if (is_out_of_memory(message)) throw std::bad_alloc();
  if (tjGetErrorCode(decoder) != TJERR_WARNING) throw Error(ErrorCode::image_corrupt, "JPEG: " + message);
  return message;
}

constexpr std::uint32_t kLibjpegMaxSide = 65500;  // JPEG_MAX_DIMENSION of jmorecfg.h

// How colours are sampled, other than in the usual ways: libjpeg decodes it, TurboJPEG before 3.0 has no name for it.
inline bool is_nameless_sampling(const std::string& message) {
  return message.find("Could not determine subsampling type") != std::string::npos;
}

/// Decodes into `pixels`, and gives the first warning.
inline std::string turbojpeg_pixels(tjhandle decoder, std::span<const std::byte> file, Pixels& pixels) {
  const int format = pixels.layout == Layout::gray ? TJPF_GRAY : pixels.layout == Layout::cmyk ? TJPF_CMYK : TJPF_RGB;
  return turbojpeg_warning(
      decoder, tjDecompress2(decoder, reinterpret_cast<const unsigned char*>(file.data()),
                             static_cast<unsigned long>(file.size()), pixels.data.data(),
                             static_cast<int>(pixels.width), 0, static_cast<int>(pixels.height), format, 0));
}

/// Decodes a file that is whole but for what is_harmless names.  A harmless warning may hide one of missing data, so a
/// file that gives it is decoded again without its cause: first without what its headers are warned of, then
/// without the bytes before its end marker too, which are warned of last.
inline void decode_undamaged(tjhandle decoder, std::span<const std::byte> file, const JpegHeader& header,
                             Pixels& pixels) {
  std::string warning = turbojpeg_pixels(decoder, file, pixels);
  std::vector<std::byte> plain;
  for (int again = 0; again < 2 && is_harmless(warning); ++again) {
    plain = plain_jpeg(again == 0 ? file : std::span<const std::byte>(plain), header, bytes_before_end(warning));
    warning = turbojpeg_pixels(decoder, plain, pixels);
  }
  if (!warning.empty()) throw Error(ErrorCode::image_corrupt, "JPEG: " + warning);
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
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  const int status =
      tjDecompressHeader3(decoder.get(), reinterpret_cast<const unsigned char*>(file.data()),
                          static_cast<unsigned long>(file.size()), &width, &height, &subsampling, &colours);
  if (status != 0 && is_nameless_sampling(tjGetErrorStr2(decoder.get()))) return std::nullopt;
  (void)turbojpeg_warning(decoder.get(), status);  // which comes again with the pixels
  if (static_cast<std::uint32_t>(width) != header.width || static_cast<std::uint32_t>(height) != header.height) {
    throw Error(ErrorCode::image_corrupt, "JPEG: it has two frames of different size");
  }
  Pixels pixels(header.width, header.height, layout);
  decode_undamaged(decoder.get(), file, header, pixels);
  if (layout == Layout::cmyk) {  // Adobe's files store the inks inverted, and so does everybody: Pillow inverts too
    for (index_t i = 0; i < pixels.bytes(); ++i)
      pixels.data.data()[i] = static_cast<std::uint8_t>(255 - pixels.data.data()[i]);
  }
  return pixels;
}

}  // namespace clipon::inline CLIPON_ABI::image

// Picture files made in memory, and changed: PNG, BMP and JPEG of any size, sound or not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "matrix.hpp"

namespace trust {

Bytes to_bytes(const std::string& text);

/// A PNG chunk with its length and checksum.
std::string png_chunk(const std::string& type, const std::string& data);
std::string png_header(std::uint32_t width, std::uint32_t height, int depth = 8, int colour_type = 2,
                       int interlace = 0);
/// A zlib stream of `data`, not compressed.
std::string zlib_stored(const std::string& data);
/// A zlib stream of `length` zeros (a multiple of 258, and one): 13 bits for each 258.
std::string zlib_of_zeros(std::uint64_t length);
/// Signature, the header, one IDAT of `zlib`, IEND.
std::string png_file(const std::string& header, const std::string& zlib, const std::string& more = {});
/// A sound picture of noise.
std::string png_of_noise(std::uint32_t width, std::uint32_t height, int depth = 8, int colour_type = 2);

std::string bmp_file(std::int32_t width, std::int32_t height, std::uint16_t bits, std::size_t pixel_bytes);

/// Baseline, 4:2:0 below quality 90 (stb_image_write).
std::string jpeg_of_noise(int width, int height, int channels, int quality);
/// The positions of each segment's marker.
std::vector<std::size_t> jpeg_segments(const std::string& file, int marker);
/// Gives a JPEG's frame header another size.
void set_jpeg_size(std::string& file, int width, int height);
/// The checksums of a PNG made right again, so that a flip gets past them to the decoder.
void mend_checksums(std::string& file);

}  // namespace trust

// RGB pixels to the bytes of a JPEG file: thumbnails, and the JPEG of `evaluate --shift`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cli {

/// `rgb` is [height, width, 3]; `quality` 1..100.
std::vector<std::byte> encode_jpeg(const std::uint8_t* rgb, int width, int height, int quality);

}  // namespace cli

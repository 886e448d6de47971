// A picture file's bytes to pixels.  Layer 3; called by Image.
#pragma once

#include <cstddef>
#include <span>

#include "clipon/image/pixels.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::image {

/// Throws Error image_unsupported (another format: named), image_corrupt or image_too_large.
Pixels decode(std::span<const std::byte> file, const DecodeOptions& options);

}  // namespace clipon::inline CLIPON_ABI::image

#if CLIPON_BODIES
#include "clipon/image/decoders.hpp"
#endif

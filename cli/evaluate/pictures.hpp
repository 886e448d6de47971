// Labelled pictures as the image tower sees them, and their embeddings.
#pragma once

#include <clipon/clipon.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "evaluate/dataset.hpp"
#include "settings.hpp"

namespace cli {

using Pixels = std::vector<std::uint8_t>;  // [side, side, 3]; empty: the picture failed

/// Read, decoded, resized and cropped, on the model's threads; `status` notes each one's fate.
std::vector<Pixels> load_pixels(const clipon::Model& model, const Settings& settings, std::span<const Item> items,
                                std::vector<clipon::ItemStatus>& status);

/// Unit rows [n, embed_dim]; NaN where a picture failed.
clipon::Matrix embed_pixels(const clipon::Model& model, const std::vector<Pixels>& pictures);

}  // namespace cli

// Labelled pictures as the image tower sees them, and their embeddings.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
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

struct EmbeddedItems {
  clipon::Matrix rows;                     // [n, embed_dim], unit; NaN where a picture failed
  std::vector<clipon::ItemStatus> status;  // [n]
  double seconds = 0.0;                    // of reading and embedding
};

/// All of them in portions, with a progress bar; `see(first, pictures)`, if any, is shown each portion.
EmbeddedItems embed_items(const clipon::Model& model, const Settings& settings, std::span<const Item> items,
                          const std::function<void(std::size_t, const std::vector<Pixels>&)>& see = {});

}  // namespace cli

// Pictures made worse, as Hendrycks and Dietterich 2019 (Benchmarking neural network robustness to common corruptions,
// ImageNet-C) do it: noise, blur, contrast, JPEG, pixelation at their five strengths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cli {

inline const std::vector<std::string> kCorruptions = {"noise", "blur", "contrast", "jpeg", "pixelate"};
constexpr int kStrengths = 5;

/// `pixels` [side, side, 3] as the image tower sees them; strength 1..5; `seed` makes the noise.  Lengths are of
/// pictures of 224 px and shrink with `side`.
std::vector<std::uint8_t> corrupt(const std::vector<std::uint8_t>& pixels, std::ptrdiff_t side, const std::string& kind,
                                  int strength, unsigned seed);

}  // namespace cli

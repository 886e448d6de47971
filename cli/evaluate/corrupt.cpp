#include "evaluate/corrupt.hpp"

#include <algorithm>
#include <clipon/clipon.hpp>
#include <cmath>
#include <random>

#include "encode_jpeg.hpp"

namespace cli {

namespace {

using Pixels = std::vector<std::uint8_t>;

// ImageNet-C's constants, imagenet_c/corruptions.py.
constexpr double kNoise[kStrengths] = {0.08, 0.12, 0.18, 0.26, 0.38};  // standard deviation, of 0..1
constexpr double kBlur[kStrengths] = {1, 2, 3, 4, 6};                  // standard deviation, pixels of 224
constexpr double kContrast[kStrengths] = {0.4, 0.3, 0.2, 0.1, 0.05};   // what is left of it
constexpr int kQuality[kStrengths] = {25, 18, 15, 10, 7};              // JPEG
constexpr double kPixelate[kStrengths] = {0.6, 0.5, 0.4, 0.3, 0.25};   // side of the small picture

std::uint8_t to_byte(double x) {
  return static_cast<std::uint8_t>(std::clamp(std::nearbyint(x), 0.0, 255.0));
}

Pixels noise(Pixels pixels, double deviation, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0.0, deviation * 255.0);
  for (auto& p : pixels) p = to_byte(p + normal(engine));
  return pixels;
}

// One pass along x of a Gaussian, edges repeated; the picture comes out transposed, so two passes blur it whole.
std::vector<double> blur_pass(const std::vector<double>& in, std::ptrdiff_t side, const std::vector<double>& weights) {
  const auto reach = static_cast<std::ptrdiff_t>(weights.size() / 2);
  std::vector<double> out(in.size());
  for (std::ptrdiff_t y = 0; y < side; ++y) {
    for (std::ptrdiff_t x = 0; x < side; ++x) {
      for (std::ptrdiff_t c = 0; c < 3; ++c) {
        double sum = 0.0;
        for (std::ptrdiff_t d = -reach; d <= reach; ++d) {
          const std::ptrdiff_t at = std::clamp<std::ptrdiff_t>(x + d, 0, side - 1);
          sum += weights[static_cast<std::size_t>(d + reach)] * in[static_cast<std::size_t>((y * side + at) * 3 + c)];
        }
        out[static_cast<std::size_t>((x * side + y) * 3 + c)] = sum;
      }
    }
  }
  return out;
}

Pixels blur(const Pixels& pixels, std::ptrdiff_t side, double deviation) {
  const auto reach = static_cast<int>(std::ceil(3.0 * deviation));
  std::vector<double> weights;
  double total = 0.0;
  for (int d = -reach; d <= reach; ++d) {
    weights.push_back(std::exp(-0.5 * d * d / (deviation * deviation)));
    total += weights.back();
  }
  for (double& w : weights) w /= total;
  const std::vector<double> in(pixels.begin(), pixels.end());
  const auto blurred = blur_pass(blur_pass(in, side, weights), side, weights);
  Pixels out(pixels.size());
  std::transform(blurred.begin(), blurred.end(), out.begin(), to_byte);
  return out;
}

Pixels contrast(Pixels pixels, double left) {
  double mean[3] = {};
  const std::size_t count = pixels.size() / 3;
  for (std::size_t i = 0; i < pixels.size(); ++i) mean[i % 3] += pixels[i] / static_cast<double>(count);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = to_byte((pixels[i] - mean[i % 3]) * left + mean[i % 3]);
  return pixels;
}

Pixels jpeg(const Pixels& pixels, std::ptrdiff_t side, int quality) {
  const auto bytes = encode_jpeg(pixels.data(), static_cast<int>(side), static_cast<int>(side), quality);
  const clipon::Image decoded = clipon::Image::decode(bytes);
  const auto& data = decoded.pixels().data;
  return {data.data(), data.data() + pixels.size()};
}

// One pass along x of Pillow's BOX filter, down to `cells` and up again; the picture comes out transposed.  A cell is
// the mean, rounded, of the pixels whose centres lie in it; a pixel shows the cell that its centre lies in.
Pixels pixelate_pass(const Pixels& in, std::ptrdiff_t side, std::ptrdiff_t cells) {
  Pixels out(in.size());
  for (std::ptrdiff_t x = 0; x < side; ++x) {
    const std::ptrdiff_t cell = (2 * x + 1) * cells / (2 * side);
    const std::ptrdiff_t first = (2 * cell * side + cells) / (2 * cells);
    const std::ptrdiff_t count = (2 * (cell + 1) * side + cells) / (2 * cells) - first;
    for (std::ptrdiff_t y = 0; y < side; ++y) {
      for (std::ptrdiff_t c = 0; c < 3; ++c) {
        std::ptrdiff_t sum = 0;
        for (std::ptrdiff_t i = 0; i < count; ++i) sum += in[static_cast<std::size_t>((y * side + first + i) * 3 + c)];
        const auto at = static_cast<std::size_t>((x * side + y) * 3 + c);
        out[at] = static_cast<std::uint8_t>((2 * sum + count) / (2 * count));
      }
    }
  }
  return out;
}

Pixels pixelate(const Pixels& pixels, std::ptrdiff_t side, double factor) {
  const auto cells = std::max<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(static_cast<double>(side) * factor), 1);
  return pixelate_pass(pixelate_pass(pixels, side, cells), side, cells);
}

}  // namespace

Pixels corrupt(const Pixels& pixels, std::ptrdiff_t side, const std::string& kind, int strength, unsigned seed) {
  const int i = strength - 1;
  if (kind == "noise") return noise(pixels, kNoise[i], seed);
  if (kind == "blur") return blur(pixels, side, kBlur[i] * static_cast<double>(side) / 224.0);
  if (kind == "contrast") return contrast(pixels, kContrast[i]);
  if (kind == "jpeg") return jpeg(pixels, side, kQuality[i]);
  return pixelate(pixels, side, kPixelate[i]);
}

}  // namespace cli

// Pixels that are in memory already, a camera's frame say: example_own_pixels
// Uses the embedded model, so that it needs no file.
#include <clipon/clipon.hpp>
#include <iostream>

int main() try {
  const auto model = clipon::Model::load_demo();
  constexpr int width = 320;
  constexpr int height = 240;
  constexpr int stride = 1024;  // bytes from row to row; more than 3 * width, as cameras like it
  std::vector<std::uint8_t> frame(static_cast<std::size_t>(stride) * height, 255);
  for (int y = 0; y < height; ++y) {  // a red disc on white
    for (int x = 0; x < width; ++x) {
      const bool inside = (x - 160) * (x - 160) + (y - 120) * (y - 120) < 90 * 90;
      const auto at = static_cast<std::size_t>(y * stride + 3 * x);
      if (inside) frame[at + 1] = frame[at + 2] = 30;
    }
  }
  const auto image = clipon::Image::from_rgb(frame.data(), width, height, stride);
  for (const auto& p : model.zero_shot_classify(image, {"red circle", "blue square", "cat face"})) {
    std::cout << p.label << ' ' << p.probability << '\n';
  }
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// Any bytes as a model file.  Byte 0 chooses the options; what loads must compute.
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz.hpp"

int fuzz::model(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  clipon::LoadOptions options;
  options.threads = 1;
  options.verify_checksums = (data[0] & 1) != 0;  // off: changed weights get past the checksums
  options.allow_non_finite = (data[0] & 2) != 0;
  options.precision = static_cast<clipon::Precision>(1 + data[0] / 4 % 3);
  try {
    const auto file = std::as_bytes(std::span(data + 1, size - 1));
    const auto model = clipon::Model::load_from_memory(file, options);
    const std::uint8_t pixels[12] = {0, 255, 3, 9, 100, 7, 50, 60, 70, 1, 2, 3};
    fuzz::expect_finite(model.embed_image(clipon::Image::from_rgb(pixels, 2, 2)));
    fuzz::expect_finite(model.embed_text("a cat"));
    if ((data[0] & 64) == 0) return 0;
    std::vector<std::string> texts;  // short ones, of which many go through the blocks together
    for (int i = 0; i < 200; ++i) texts.push_back({static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26)});
    const clipon::Matrix embeddings = model.embed_texts(texts);
    for (Eigen::Index r = 0; r < embeddings.rows(); ++r) fuzz::expect_finite(embeddings.row(r));
  } catch (const clipon::Error& error) {
    fuzz::expect_one_line(error);
  }
  return 0;
}

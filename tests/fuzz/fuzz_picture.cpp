// Any bytes as a picture.  Byte 0 chooses the options; what decodes is resized by the plain kernels and the fastest,
// which must give the same bytes.
#include <vector>

#include "fuzz.hpp"

namespace {

std::vector<std::uint8_t> preprocess(clipon::Isa isa, const clipon::Image& image,
                                     const clipon::image::PreprocessConfig& config) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(config.size * config.size * 3));
  clipon::image::preprocess(clipon::kernels::select_table(isa), image.pixels(), config, out.data());
  return out;
}

}  // namespace

int fuzz::picture(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  clipon::DecodeOptions options;
  options.apply_exif_orientation = (data[0] & 1) != 0;
  options.max_pixels = 1 << 20;
  options.max_decoder_bytes = 64 << 20;
  clipon::image::PreprocessConfig config;
  config.size = 1 + data[0] / 8 % 32;
  if ((data[0] & 2) != 0) config.resize_mode = clipon::image::ResizeMode::squash;
  if ((data[0] & 4) != 0) config.interpolation = clipon::image::Interpolation::bilinear;
  try {
    const auto image = clipon::Image::decode(std::as_bytes(std::span(data + 1, size - 1)), options);
    fuzz::expect(image.width() > 0 && image.height() > 0 && image.width() * image.height() <= 1 << 20, "limits hold");
    const auto fast = preprocess(fuzz::kFastest, image, config);
    fuzz::expect(fast == preprocess(clipon::Isa::scalar, image, config), "instruction sets agree");
  } catch (const clipon::Error& error) {
    fuzz::expect_one_line(error);
  }
  return 0;
}

// clipon first, then the application's stb_image, whose implementation is in another unit.
#include <clipon/image.hpp>
// after it
#include <stb/stb_image.h>

#include "unit.hpp"

#if defined(STB_IMAGE_STATIC) || defined(STBI_ONLY_PNG)
#error "clipon's macros have leaked"
#endif

int own_stb_after(const std::string& picture) {
  int width = 0;
  int height = 0;
  int channels = 0;
  stbi_uc* pixels = stbi_load(picture.c_str(), &width, &height, &channels, 0);
  stbi_image_free(pixels);
  const auto image = clipon::Image::read(picture);
  return pixels != nullptr && image.width() == width && image.height() == height ? width * height : 0;
}

// The application implements stb_image in the unit that includes clipon, and does so first.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wextra"
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_BMP
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
// then clipon
#include <clipon/image.hpp>

#include "unit.hpp"

#if !defined(STBI_NO_BMP) || !defined(STB_IMAGE_IMPLEMENTATION) || !defined(STBI_INCLUDE_STB_IMAGE_H)
#error "clipon has changed the application's macros"
#endif

int own_stb_before(const std::string& picture) {
  int width = 0;
  int height = 0;
  int channels = 0;
  stbi_uc* pixels = stbi_load(picture.c_str(), &width, &height, &channels, 0);
  stbi_image_free(pixels);
  const auto image = clipon::Image::read(picture);
  return pixels != nullptr && image.width() == width && image.height() == height ? width * height : 0;
}

#include "encode_jpeg.hpp"

#include <new>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#if __has_include(<stb/stb_image_write.h>)
#include <stb/stb_image_write.h>
#else
#include <stb_image_write.h>
#endif

namespace cli {

std::vector<std::byte> encode_jpeg(const std::uint8_t* rgb, int width, int height, int quality) {
  std::vector<std::byte> out;
  const auto append = [](void* to, void* data, int size) {
    auto* bytes = static_cast<std::byte*>(data);
    static_cast<std::vector<std::byte>*>(to)->insert(static_cast<std::vector<std::byte>*>(to)->end(), bytes,
                                                     bytes + size);
  };
  if (stbi_write_jpg_to_func(append, &out, width, height, 3, rgb, quality) == 0) throw std::bad_alloc();
  return out;
}

}  // namespace cli

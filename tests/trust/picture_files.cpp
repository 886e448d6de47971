#include "picture_files.hpp"

#include <clipon/image/png.hpp>
#include <cstring>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace trust {

namespace {

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string noise(std::size_t n) {
  std::mt19937 random(static_cast<unsigned>(n));
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

}  // namespace

Bytes to_bytes(const std::string& text) {
  Bytes bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(clipon::image::crc32(std::as_bytes(std::span(body))));
}

std::string png_header(std::uint32_t width, std::uint32_t height, int depth, int colour_type, int interlace) {
  const std::string rest = {static_cast<char>(depth), static_cast<char>(colour_type), 0, 0,
                            static_cast<char>(interlace)};
  return png_chunk("IHDR", big_endian(width) + big_endian(height) + rest);
}

std::string zlib_stored(const std::string& data) {
  std::string out = "\x78\x01";
  std::size_t at = 0;
  do {
    const std::size_t n = std::min<std::size_t>(65535, data.size() - at);
    const auto length = static_cast<std::uint16_t>(n);
    out += at + n == data.size() ? '\1' : '\0';
    for (const auto part : {length, static_cast<std::uint16_t>(~length)}) {
      out += static_cast<char>(part & 0xff);
      out += static_cast<char>(part >> 8);
    }
    out += data.substr(at, n);
    at += n;
  } while (at < data.size());
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char byte : data) {
    a = (a + static_cast<unsigned char>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  return out + big_endian((b << 16) | a);
}

std::string zlib_of_zeros(std::uint64_t length) {
  std::string out = "\x78\x01";
  unsigned bits = 0;
  int count = 0;
  const auto put = [&](unsigned value, int n) {  // least significant bit first
    bits |= value << count;
    for (count += n; count >= 8; count -= 8, bits >>= 8) out += static_cast<char>(bits & 0xff);
  };
  const auto put_code = [&](unsigned code, int n) {  // Huffman codes: most significant bit first
    for (int i = n - 1; i >= 0; --i) put((code >> i) & 1, 1);
  };
  put(1, 1);          // the last block
  put(1, 2);          // of fixed Huffman codes
  put_code(0x30, 8);  // the literal 0
  for (std::uint64_t i = 0; i + 258 < length + 1; i += 258) {
    put_code(0xc5, 8);  // length 258
    put_code(0, 5);     // distance 1
  }
  put_code(0, 7);  // the end
  put(0, 7);
  return out + std::string(4, '\0');
}

std::string png_file(const std::string& header, const std::string& zlib, const std::string& more) {
  return "\x89PNG\r\n\x1a\n" + header + more + png_chunk("IDAT", zlib) + png_chunk("IEND", "");
}

std::string png_of_noise(std::uint32_t width, std::uint32_t height, int depth, int colour_type) {
  const unsigned channels = colour_type == 2 ? 3 : colour_type == 4 ? 2 : colour_type == 6 ? 4 : 1;
  const std::size_t row = (std::size_t{width} * channels * static_cast<unsigned>(depth) + 7) / 8;
  std::string rows = noise((row + 1) * height);
  for (std::size_t y = 0; y < height; ++y) rows[y * (row + 1)] = static_cast<char>(y % 5);
  const std::string palette = colour_type == 3 ? png_chunk("PLTE", noise(256 * 3)) : std::string();
  return png_file(png_header(width, height, depth, colour_type), zlib_stored(rows), palette);
}

std::string bmp_file(std::int32_t width, std::int32_t height, std::uint16_t bits, std::size_t pixel_bytes) {
  const std::uint32_t palette = bits <= 8 ? 4u << bits : 0;
  std::string out = "BM";
  const auto put = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(static_cast<std::uint32_t>(54 + palette + pixel_bytes));
  put(std::uint32_t{0});
  put(54 + palette);
  put(std::uint32_t{40});
  put(width);
  put(height);
  put(std::uint16_t{1});
  put(bits);
  for (int i = 0; i < 6; ++i) put(std::uint32_t{0});
  return out + noise(palette) + noise(pixel_bytes);
}

std::string jpeg_of_noise(int width, int height, int channels, int quality) {
  const std::string pixels = noise(static_cast<std::size_t>(width) * static_cast<std::size_t>(height * channels));
  std::string out;
  const auto append = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  stbi_write_jpg_to_func(append, &out, width, height, channels, pixels.data(), quality);
  return out;
}

std::vector<std::size_t> jpeg_segments(const std::string& file, int marker) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == '\xff' && static_cast<unsigned char>(file[i + 1]) == marker) found.push_back(i);
  }
  return found;
}

void mend_checksums(std::string& file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t n = clipon::image::big_endian(std::as_bytes(std::span(file)), at, 4);
    if (n > file.size() - at - 12) return;
    const std::string whole = png_chunk(file.substr(at + 4, 4), file.substr(at + 8, n));
    file.replace(at, n + 12, whole);
    at += n + 12;
  }
}

void set_jpeg_size(std::string& file, int width, int height) {
  for (const int marker : {0xc0, 0xc2}) {
    for (const std::size_t at : jpeg_segments(file, marker)) {
      file[at + 5] = static_cast<char>(height >> 8);
      file[at + 6] = static_cast<char>(height);
      file[at + 7] = static_cast<char>(width >> 8);
      file[at + 8] = static_cast<char>(width);
    }
  }
}

}  // namespace trust

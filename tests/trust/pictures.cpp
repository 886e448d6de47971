// Hostile pictures: cut, flipped, of random bytes, bombs, at the limits, of shapes that make a resize dear.
#include <filesystem>
#include <fstream>

#include "image/jpeg_segment.hpp"
#include "memory.hpp"
#include "picture_files.hpp"
#include "tiny_model.hpp"

namespace trust {

namespace {

using clipon::DecodeOptions;
using clipon::Image;

constexpr Limits kSmall = {0.5, std::size_t{4} << 20};
const std::initializer_list<ErrorCode> kBroken = {ErrorCode::image_corrupt, ErrorCode::image_unsupported,
                                                  ErrorCode::image_too_large};

#if defined(CLIPON_WITH_TURBOJPEG)
constexpr bool kReadsCmyk = true;
#else
constexpr bool kReadsCmyk = false;  // stb_image has no right way for it
#endif

struct Seed {
  std::string name;
  std::string bytes;
  std::size_t padding = 0;  // of the last row: a file may lack it
};

std::vector<Seed> seeds(const Settings& settings) {
  std::vector<Seed> all = {
      {"noise.png", png_of_noise(13, 9)},           {"noise16.png", png_of_noise(7, 5, 16, 6)},
      {"noise1.png", png_of_noise(19, 4, 1, 0)},    {"noise-palette.png", png_of_noise(11, 6, 4, 3)},
      {"noise.bmp", bmp_file(9, 7, 24, 28 * 7), 1}, {"noise8.bmp", bmp_file(9, -7, 8, 12 * 7), 3},
      {"noise.jpg", jpeg_of_noise(20, 17, 3, 95)},  {"noise420.jpg", jpeg_of_noise(33, 18, 3, 40)},
      {"gray.jpg", jpeg_of_noise(17, 16, 1, 60)},
  };
  for (const char* name :
       {"interlaced_progressive.jpg", "cmyk.jpg", "yuv444.jpg", "palette_trns.png", "gray_16.png", "palette.bmp"}) {
    std::ifstream file(settings.source_dir + "/tests/golden/pictures/" + name, std::ios::binary);
    const std::size_t padding = std::string_view(name) == "palette.bmp" ? 3 : 0;  // 61 bytes a row
    all.push_back({name, {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}, padding});
  }
  return all;
}

// What decodes must also go through the model.
void decode_and_use(const std::string& file, const Probe& probe, const DecodeOptions& options = {}) {
  const Image image = Image::decode(std::as_bytes(std::span(file)), options);
  (void)probe.model().embed_image(image);
}

void check_cuts(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: cut at every byte");
  for (const Seed& seed : seeds(settings)) {
    if (seed.name == "cmyk.jpg" && !kReadsCmyk) {
      section.refused(seed.name, kSmall, {ErrorCode::image_unsupported}, [&] { decode_and_use(seed.bytes, probe); });
    } else {
      section.works(seed.name, kSmall, [&] { decode_and_use(seed.bytes, probe); });
    }
    const std::size_t step = settings.full || seed.bytes.size() < 1300 ? 1 : 3;
    for (std::size_t n = 0; n < seed.bytes.size(); n += step) {
      const std::string what = seed.name + ": first " + std::to_string(n) + " bytes";
      const auto body = [&] { decode_and_use(seed.bytes.substr(0, n), probe); };
      if (n + seed.padding < seed.bytes.size()) {
        section.refused(what, kSmall, kBroken, body);
      } else {
        section.works(what, kSmall, body);
      }
    }
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_flips(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: bytes changed");
  std::mt19937 random(3);
  const int count = settings.full ? 3000 : 500;
  for (const Seed& seed : seeds(settings)) {
    for (int i = 0; i < count; ++i) {
      std::string file = seed.bytes;
      for (unsigned n = 1 + random() % 4; n > 0; --n) file[random() % file.size()] = static_cast<char>(random());
      if (i % 2 == 0 && seed.name.ends_with("png")) mend_checksums(file);
      DecodeOptions options;
      options.apply_exif_orientation = i % 3 == 0;
      section.any(seed.name + " " + std::to_string(i), {2.0, std::size_t{600} << 20},
                  [&] { decode_and_use(file, probe, options); });
    }
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_random(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: random bytes, other formats");
  std::mt19937 random(5);
  const std::vector<std::string> starts = {"", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0", "\xff\xd8\xff", "BM"};
  const int count = settings.full ? 5000 : 1000;
  for (int i = 0; i < count; ++i) {
    std::string file = starts[static_cast<std::size_t>(i) % starts.size()];
    for (std::size_t n = random() % 600; n > 0; --n) file += static_cast<char>(random());
    section.refused("random bytes", kSmall, kBroken, [&] { decode_and_use(file, probe); });
  }
  for (const std::string& start : starts)
    section.refused("a magic", kSmall, kBroken, [&] { decode_and_use(start, probe); });
  using namespace std::string_literals;
  const std::pair<std::string, std::string> others[] = {
      {"GIF", "GIF89a\xff\xff\xff\xff"s},   // CVE-2023-45661 and kin (stb #310, #1538, #1915) are in the GIF reader
      {"WebP", "RIFF\x20\0\0\0WEBPVP8L"s},  // CVE-2023-4863 is in libwebp's
      {"AVIF",
       "\0\0\0\x20"
       "ftypavif"s},
      {"HEIC",
       "\0\0\0\x18"
       "ftypheic"s},
      {"SVG", "<svg xmlns='http'>"s},
      {"TIFF", "II*\0\x08\0\0\0"s},
      {"PSD", "8BPS\0\1"s},
      {"PDF", "%PDF-1.7"s},
      {"Radiance HDR", "#?RADIANCE\n"s},
      {"PPM", "P6\n1 1\n255\nabc"s},
      {"JPEG XL", "\xff\x0a"s},
      {"ICO", "\0\0\1\0\1\0"s}};
  for (const auto& item : others) {
    const auto& name = item.first;
    const auto& start = item.second;
    const Outcome outcome =
        section.any(name, kSmall, [&, file = start + std::string(64, '\0')] { decode_and_use(file, probe); });
    section.check(name + " is refused by name",
                  outcome.code == ErrorCode::image_unsupported && outcome.message.find(name) != std::string::npos);
  }
  // FITS, as gzip: Pillow's CVE-2026-40192
  section.refused("gzip", kSmall, {ErrorCode::image_corrupt}, [&] { decode_and_use("\x1f\x8b\x08", probe); });
}

void check_bombs(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: bombs");
  const Limits at_once = {0.05, std::size_t{1} << 20};
  const auto refuse = [&](const char* what, const Limits& limits, std::initializer_list<ErrorCode> codes,
                          const std::string& file) {
    section.refused(what, limits, codes, [&] { decode_and_use(file, probe); });
  };
  for (const auto& [width, height] : {std::pair<std::uint32_t, std::uint32_t>{65535, 65535},
                                      {0x7fffffff, 0x7fffffff},
                                      {0xffffffff, 0xffffffff},
                                      {0x80000000, 2},
                                      {65536, 1},
                                      {1, 65536},
                                      {9460, 9460}}) {
    refuse("PNG: a large header", at_once, {ErrorCode::image_too_large},
           png_file(png_header(width, height), zlib_of_zeros(1000)));
  }
  for (const auto& [width, height] : {std::pair<std::uint32_t, std::uint32_t>{0, 1}, {1, 0}, {0, 0}}) {
    refuse("PNG: no pixels", at_once, {ErrorCode::image_corrupt},
           png_file(png_header(width, height), zlib_of_zeros(1000)));
  }
  refuse("PNG: 9459 x 9459 of nothing", at_once, {ErrorCode::image_corrupt},
         png_file(png_header(9459, 9459), zlib_of_zeros(1000)));
  // 6.8 MB that inflate to 1 GB, in a picture of one pixel: within the allowance of four times the file
  const std::string bomb = png_file(png_header(1, 1), zlib_of_zeros(std::uint64_t{1} << 30));
  refuse("PNG: 1 GB in one pixel", {2.0, 5 * bomb.size()}, {ErrorCode::image_too_large}, bomb);
  std::string chunks;
  for (int i = 0; i < 1'600'000; ++i) chunks += png_chunk("tEXt", "");
  refuse("PNG: 20 MB of empty chunks", {2.0, std::size_t{1} << 20}, {ErrorCode::image_corrupt},
         png_file(png_header(1, 1), zlib_stored("a"), chunks));
  const std::string comment = png_file(png_header(1, 1), zlib_stored(std::string(4, '\0')),
                                       png_chunk("zTXt", std::string("x\0\0", 3) + zlib_of_zeros(1ull << 28)));
  section.works("PNG: a compressed comment of 256 MB", {0.5, std::size_t{4} << 20},
                [&] { decode_and_use(comment, probe); });
  const std::vector<Seed> all = seeds(settings);
  for (const Seed& seed : all) {
    if (!seed.name.ends_with("jpg")) continue;
    for (const auto& [width, height] : {std::pair{65535, 65535}, {9460, 9460}}) {
      std::string file = seed.bytes;
      set_jpeg_size(file, width, height);
      refuse("JPEG: a large header", at_once, {ErrorCode::image_too_large}, file);
    }
    std::string file = seed.bytes;
    set_jpeg_size(file, 9000, 9000);
    refuse("JPEG: 81 million pixels of nothing", at_once, {ErrorCode::image_corrupt}, file);
    file = seed.bytes;
    set_jpeg_size(file, 0, 17);
    refuse("JPEG: no pixels", at_once, {ErrorCode::image_corrupt}, file);
  }
  // the last scan of a progressive picture again and again, as libjpeg's "many scans" bombs do
  std::string scans = all[9].bytes;
  const std::size_t last = jpeg_segments(scans, 0xda).back();
  const std::string scan = scans.substr(last, scans.size() - 2 - last);
  for (int i = 0; i < 500; ++i) scans.insert(scans.size() - 2, scan);
  refuse("JPEG: 500 scans", {0.5, std::size_t{1} << 20}, {ErrorCode::image_corrupt}, scans);
  scans = all[9].bytes;
  for (int i = 0; i < 60; ++i) scans.insert(scans.size() - 2, scan);
  const std::string filler = "\xff\xfe\xff\xff" + std::string(65533, 'c');  // comments: bytes that hold no pixels
  std::string large = scans;
  set_jpeg_size(large, 8000, 8000);
  for (int i = 0; i < 3; ++i) large.insert(2, filler);
  refuse("JPEG: 70 scans of 64 million pixels", at_once, {ErrorCode::image_too_large}, large);
  for (const auto& [width, height] : {std::pair{65535, 65535}, {1 << 30, 1}, {-1, 5}, {5, -2147483647 - 1}, {0, 5}}) {
    refuse("BMP: a large header", at_once, {ErrorCode::image_too_large, ErrorCode::image_corrupt},
           bmp_file(width, height, 24, 100));
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_limits(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: limits, exactly");
  const std::pair<const char*, std::string> pictures[] = {{"PNG", png_of_noise(100, 100)},
                                                          {"JPEG", jpeg_of_noise(100, 100, 3, 80)},
                                                          {"BMP", bmp_file(100, 100, 24, 30000)}};
  for (const auto& item : pictures) {
    const auto& name = item.first;
    const auto& file = item.second;
    const auto with = [&](const auto& set, bool passes) {
      DecodeOptions options;
      set(options);
      if (passes) {
        section.works(name, kSmall, [&] { decode_and_use(file, probe, options); });
      } else {
        section.refused(name, kSmall, {ErrorCode::image_too_large}, [&] { decode_and_use(file, probe, options); });
      }
    };
    for (const bool passes : {true, false}) {
      const std::uint64_t less = passes ? 0 : 1;
      with([&](DecodeOptions& o) { o.max_pixels = 10000 - less; }, passes);
      with([&](DecodeOptions& o) { o.max_side = 100 - less; }, passes);
      with([&](DecodeOptions& o) { o.max_file_bytes = file.size() - less; }, passes);
    }
    if (std::string(name) == "PNG") with([](DecodeOptions& o) { o.max_decoder_bytes = 30000; }, false);
  }
}

void check_shapes(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: odd shapes");
  const clipon::Model& model = probe.model();
  for (const auto& item : {std::pair{1, 1},
                           {1, 10000},
                           {10000, 1},
                           {2, 65535},
                           {65535, 2},
                           {223, 224},
                           {224, 223},
                           {225, 1},
                           {7, 3},
                           {8, 8},
                           {8, 9}}) {
    const auto& width = item.first;
    const auto& height = item.second;
    const std::string what = std::to_string(width) + " x " + std::to_string(height);
    const std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4, 77);
    for (const Image& image :
         {Image::from_rgb(pixels.data(), width, height), Image::from_rgba(pixels.data(), width, height),
          Image::from_gray(pixels.data(), width, height)}) {
      section.works(what + ": resized", {0.5, std::size_t{4} << 20}, [&] { (void)model.embed_image(image); });
    }
    const std::size_t own = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
    const auto w = static_cast<std::uint32_t>(width);
    const auto h = static_cast<std::uint32_t>(height);
    for (const std::string& file :
         {png_of_noise(w, h), jpeg_of_noise(std::min(width, 65500), std::min(height, 65500), 3, 50),
          bmp_file(width, height, 24, (w * 3 + 3) / 4 * 4 * std::size_t{h})}) {
      section.works(what + ": decoded", {1.0, 4 * own + (std::size_t{4} << 20)}, [&] { decode_and_use(file, probe); });
    }
  }
  const std::uint8_t pixels[64] = {};
  const auto wrong = [&](const auto& body) {
    section.refused("own pixels", kSmall, {ErrorCode::invalid_argument}, body);
  };
  const std::ptrdiff_t huge = std::numeric_limits<std::ptrdiff_t>::max();
  wrong([&] { (void)Image::from_rgb(nullptr, 1, 1); });
  for (const auto& item : {std::tuple<std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t>{0, 1, 0},
                           {1, 0, 0},
                           {-1, 1, 0},
                           {1, -1, 0},
                           {huge, huge, 0},
                           {4, 2, 11},
                           {4, 2, -12},
                           {4, 2, 1},
                           {2, 3, huge},
                           {std::ptrdiff_t{1} << 25, 1, 0}}) {
    const auto& width = std::get<0>(item);
    const auto& height = std::get<1>(item);
    const auto& stride = std::get<2>(item);
    wrong([&, w = width, h = height, s = stride] { (void)Image::from_rgb(pixels, w, h, s); });
  }
}

// What others' decoders fell over, in the formats that clipon reads (docs/reliability.md has the list).
void check_known_failures(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("picture: known failures of others");
  const auto survive = [&](const std::string& what, const std::string& file) {
    section.any(what, {1.0, std::size_t{8} << 20}, [&] { decode_and_use(file, probe); });
  };
  const std::string sound = jpeg_of_noise(16, 16, 3, 90);
  for (const int marker :
       {0xc4, 0xdb, 0xda, 0xc0}) {  // stb #1108 (Huffman tables over-read), #656: each table byte wrong
    for (const std::size_t at : jpeg_segments(sound, marker)) {
      const std::size_t end = std::min(at + 40, sound.size());
      for (std::size_t i = at + 2; i < end; ++i) {
        for (const int value : {0, 1, 4, 16, 127, 128, 255}) {
          std::string file = sound;
          file[i] = static_cast<char>(value);
          survive("JPEG table, byte " + std::to_string(i - at), file);
        }
      }
      std::string without = sound;
      const std::size_t length =
          static_cast<unsigned char>(sound[at + 2]) * 256u + static_cast<unsigned char>(sound[at + 3]);
      without.erase(at, length + 2);
      survive("JPEG without segment", without);
    }
  }
  // stb_image 2.27 writes beyond tables of 257 codes and more
  for (const std::size_t at : jpeg_segments(sound, 0xc4)) {
    for (const int codes : {127, 255}) {
      std::string file = sound;
      const std::string counts(16, static_cast<char>(codes));
      const auto length = static_cast<unsigned>(2 + 17 + 16 * codes);
      file.replace(at + 5, 16, counts);
      file.insert(at + 21, 16 * static_cast<std::size_t>(codes), '\1');
      file[at + 2] = static_cast<char>(length >> 8);
      file[at + 3] = static_cast<char>(length & 255);
      section.refused("JPEG table of " + std::to_string(16 * codes) + " codes", {1.0, std::size_t{8} << 20},
                      {ErrorCode::image_corrupt}, [&] { decode_and_use(file, probe); });
    }
  }
  for (const int type : {0, 2, 3, 4, 6}) {  // stb #1437: depths converted on the way; #1544: products of nothing
    for (const int depth : {1, 2, 4, 8, 16, 0, 3, 32, 255}) {
      for (const int interlace : {0, 1, 2}) {
        for (const std::uint32_t side : {1u, 2u, 5u, 9u}) {
          survive("PNG type and depth", png_file(png_header(side, 1, depth, type, interlace), zlib_of_zeros(5000)));
          survive("PNG too short", png_file(png_header(side, side, depth, type, interlace), zlib_stored("a")));
          survive("PNG palette and tRNS",
                  png_file(png_header(side, side, depth, type, interlace), zlib_of_zeros(9000),
                           png_chunk("PLTE", "abcdef") + png_chunk("tRNS", std::string(7, '\1'))));
        }
      }
    }
  }
  for (const std::size_t n : {0u, 1u, 2u, 255u * 3, 256u * 3, 257u * 3, 768u + 1}) {
    survive("PNG palette",
            png_file(png_header(4, 4, 8, 3), zlib_of_zeros(300), png_chunk("PLTE", std::string(n, 'p'))));
  }
  for (const char* zlib :
       {"", "x", "\x78\x01", "\x78\x01\x07", "\x78\x01\x05\xff", "\x78\x01\x01\xff\xff"}) {  // stb #1838
    survive("PNG zlib", png_file(png_header(2, 2), zlib));
  }
  survive("PNG CgBI", png_file(png_header(2, 2), zlib_of_zeros(1000), png_chunk("CgBI", "abcd")));
  survive("PNG unknown critical chunk", png_file(png_header(2, 2), zlib_of_zeros(1000), png_chunk("ABCD", "x")));
  survive("PNG two headers", png_file(png_header(2, 2) + png_header(9, 9), zlib_of_zeros(1000)));
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{0, 1, 2, 4, 8, 16, 24, 32, 48, 65535}) {
    survive("BMP depth", bmp_file(5, 5, bits, 200));
    for (std::size_t i = 10; i < 54; ++i) {
      std::string file = bmp_file(5, 5, bits <= 32 ? bits : std::uint16_t{24}, 200);
      if (i < file.size()) file[i] = '\xff';
      survive("BMP header", file);
    }
  }
  // Exif that lies about its own lengths, with and without turning the picture
  for (std::size_t i = 0; i < 40; ++i) {
    std::string exif("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 32);
    if (i < exif.size()) exif[i] = '\xff';
    std::string file = sound;
    file.insert(2, support::jpeg_segment('\xe1', exif));
    DecodeOptions options;
    options.apply_exif_orientation = true;
    section.works("Exif", {1.0, std::size_t{8} << 20}, [&] { decode_and_use(file, probe, options); });
  }
  (void)settings;
}

}  // namespace

void check_pictures(const Settings& settings, std::vector<Section>& table) {
  table.reserve(16);
  const Probe probe(support::tiny_model().bytes());
  check_cuts(settings, table, probe);
  check_flips(settings, table, probe);
  check_random(settings, table, probe);
  check_bombs(settings, table, probe);
  check_limits(table, probe);
  check_shapes(table, probe);
  check_known_failures(settings, table, probe);
  table.back().check("the probe is unchanged", probe.unchanged());
}

}  // namespace trust

// bench_resize PICTURE ROUNDS OUT: milliseconds to preprocess a decoded picture to 224 pixels on one thread, a line a
// round; the pixels go to OUT.  Run by resize.py.
#include <clipon/clipon.hpp>
#include <cstdio>
#include <fstream>

#include "arguments.hpp"
#include "stopwatch.hpp"

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "bench_resize PICTURE ROUNDS OUT\n"), 2;
  const auto picture = clipon::Image::read(argv[1]);
  clipon::image::PreprocessConfig config;
  config.size = 224;
  const auto& kernels = clipon::kernels::select_table(clipon::LoadOptions{}.isa);
  std::vector<std::uint8_t> out(std::size_t{224} * 224 * 3);
  const int rounds = bench::count_named(argv[2]);
  for (int round = 0; round < rounds; ++round) {
    const bench::Stopwatch watch;
    clipon::image::preprocess(kernels, picture.pixels(), config, out.data());
    std::printf("%.4f\n", watch.milliseconds());
  }
  std::ofstream(argv[3], std::ios::binary)
      .write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_resize: %s\n", error.what());
  return 1;
}

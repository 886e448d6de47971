// bench_load MODEL PICTURE [ROUNDS]: from a model file in the page cache to the first embedding, beside the time that
// reading the file's bytes and writing them to fresh memory takes.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <clipon/clipon.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "stopwatch.hpp"

namespace {

double copy_once(const std::string& path) {
  const bench::Stopwatch watch;
  const int file = open(path.c_str(), O_RDONLY);
  const auto size = static_cast<std::size_t>(std::max(lseek(file, 0, SEEK_END), off_t{0}));
  const std::unique_ptr<char[]> bytes(new char[size]);  // untouched pages, as load gets
  std::size_t at = 0;
  for (ssize_t got = 1; got > 0; at += static_cast<std::size_t>(got)) {
    got = std::max(pread(file, bytes.get() + at, size - at, static_cast<off_t>(at)), ssize_t{0});
  }
  close(file);
  if (at != size || size == 0) throw std::runtime_error(path + ": cannot be read");
  return watch.milliseconds();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) return std::fprintf(stderr, "bench_load MODEL PICTURE [ROUNDS]\n"), 2;
  const int rounds = argc > 3 ? std::max(std::atoi(argv[3]), 1) : 5;
  const auto picture = clipon::Image::read(argv[2]);
  copy_once(argv[1]);  // into the page cache
  std::vector<double> ratios;
  for (int round = 0; round < rounds; ++round) {
    const double copied = copy_once(argv[1]);
    const bench::Stopwatch watch;
    const auto model = clipon::Model::load(argv[1]);
    const double loaded = watch.milliseconds();
    const auto first = model.embed_image(picture);
    const double answered = watch.milliseconds();
    ratios.push_back(answered / copied);
    std::printf("copy %6.1f ms, load %6.1f ms, first embedding after %6.1f ms: %.2f times the copy\n", copied, loaded,
                answered, ratios.back());
  }
  std::nth_element(ratios.begin(), ratios.begin() + rounds / 2, ratios.end());
  std::printf("median %.2f\n", ratios[static_cast<std::size_t>(rounds / 2)]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_load: %s\n", error.what());
  return 1;
}

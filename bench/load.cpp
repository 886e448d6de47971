// bench_load MODEL PICTURE [ROUNDS [PRECISION]]: from a model file in the page cache to the first embedding, beside the
// time that reading the file's bytes and writing as many as the packed weights have takes, on as many threads and on
// pages of the same size; the anonymous memory at its highest, sampled each millisecond; and loading beside loading
// without checksums and without looking for NaN.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <clipon/clipon.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "arguments.hpp"
#include "stopwatch.hpp"

namespace {

double copy_once(const std::string& path, std::size_t packed) {
  const int threads = clipon::parallel::available_threads();
  const bench::Stopwatch watch;
  const int file = open(path.c_str(), O_RDONLY);
  const auto size = static_cast<std::size_t>(std::max(lseek(file, 0, SEEK_END), off_t{0}));
  clipon::AlignedBuffer<std::byte> written(packed, clipon::Pages::huge);
  constexpr std::size_t piece = 1 << 18;  // stays in L2
  std::atomic<std::size_t> read{0};
  const auto pieces = static_cast<clipon::index_t>((std::max(size, packed) + piece - 1) / piece);
  clipon::parallel::parallel_ranges({threads}, pieces, 1, [&](clipon::index_t first, clipon::index_t count) {
    const auto bytes = std::make_unique<char[]>(piece);
    const std::size_t end = static_cast<std::size_t>(first + count) * piece;
    for (std::size_t at = static_cast<std::size_t>(first) * piece; at < end; at += piece) {
      if (at < size) {
        const ssize_t got = pread(file, bytes.get(), std::min(piece, size - at), static_cast<off_t>(at));
        read += static_cast<std::size_t>(std::max(got, ssize_t{0}));
      }
      if (at < packed) std::memset(written.data() + at, bytes[0] | 1, std::min(piece, packed - at));
    }
  });
  __asm__ volatile("" : : "r"(written.data()) : "memory");  // it must really be written
  close(file);
  if (read != size || size == 0) throw std::runtime_error(path + ": cannot be read");
  return watch.milliseconds();
}

// Bytes of anonymous memory: resident less what files back.
std::int64_t anonymous_bytes() {
  std::int64_t total = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  std::ifstream("/proc/self/statm") >> total >> resident >> shared;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

class HighestMemory {
 public:
  HighestMemory() : watcher_([this](const std::stop_token& stop) { watch(stop); }) {}
  [[nodiscard]] std::int64_t bytes() const { return highest_; }

 private:
  void watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      highest_ = std::max(highest_.load(), anonymous_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  std::atomic<std::int64_t> highest_{0};
  std::jthread watcher_;
};

double milliseconds_to_load(const std::string& path, const clipon::LoadOptions& options) {
  const bench::Stopwatch watch;
  const auto model = clipon::Model::load(path, options);
  return watch.milliseconds();
}

// Time to load over time to load without checksums and without looking for NaN, each first in every other round.
double cost_of_checks(const std::string& path, const clipon::LoadOptions& options, int rounds) {
  clipon::LoadOptions trusting = options;
  trusting.verify_checksums = false;
  trusting.allow_non_finite = true;
  std::vector<double> ratios;
  for (int round = 0; round < 2 * rounds; ++round) {
    const bool checked_first = round % 2 == 0;
    const double first = milliseconds_to_load(path, checked_first ? options : trusting);
    const double second = milliseconds_to_load(path, checked_first ? trusting : options);
    ratios.push_back(checked_first ? first / second : second / first);
  }
  return bench::median(ratios);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) return std::fprintf(stderr, "bench_load MODEL PICTURE [ROUNDS [PRECISION]]\n"), 2;
  const int rounds = argc > 3 ? bench::count_named(argv[3]) : 5;
  clipon::LoadOptions options;
  if (argc > 4) options.precision = bench::precision_named(argv[4]);
  const std::size_t element = options.precision == clipon::Precision::f32    ? 4
                              : options.precision == clipon::Precision::bf16 ? 2
                                                                             : 1;
  const auto picture = clipon::Image::read(argv[2]);
  const std::size_t packed =
      element * clipon::Model::load(argv[1], options).info().parameters;  // and in the page cache
  std::vector<double> ratios;
  std::int64_t highest = 0;
  for (int round = 0; round < rounds; ++round) {
    const double copied = copy_once(argv[1], packed);
    malloc_trim(0);  // freed pages that stayed resident would be neither counted nor new to this load
    const std::int64_t before = anonymous_bytes();
    const HighestMemory memory;
    const bench::Stopwatch watch;
    const auto model = clipon::Model::load(argv[1], options);
    const double loaded = watch.milliseconds();
    const auto first = model.embed_image(picture);
    const double answered = watch.milliseconds();
    highest = std::max(highest, memory.bytes() - before);
    ratios.push_back(answered / copied);
    std::printf("copy %6.1f ms, load %6.1f ms, first embedding after %6.1f ms: %.2f times the copy\n", copied, loaded,
                answered, ratios.back());
  }
  std::printf("median %.2f; anonymous %.1f MB at most, packed weights %.1f MB; %.2f times loading without checks\n",
              bench::median(ratios), static_cast<double>(highest) * 1e-6, static_cast<double>(packed) * 1e-6,
              cost_of_checks(argv[1], options, rounds));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_load: %s\n", error.what());
  return 1;
}

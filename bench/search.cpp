// bench_search [ROWS [WIDTH [ROUNDS]]]: top-10 of a million stored vectors beside the rate at which this machine reads
// memory, interleaved, median of the rounds; results go to the output as a line a type.
#include <algorithm>
#include <clipon/clipon.hpp>
#include <cstdio>
#include <random>

#include "arguments.hpp"
#include "read_memory.hpp"
#include "stopwatch.hpp"

using clipon::index_t;

int main(int argc, char** argv) try {
  const index_t rows = argc > 1 ? bench::count_named(argv[1]) : 1000000;
  const index_t width = argc > 2 ? bench::count_named(argv[2]) : 512;
  const int rounds = argc > 3 ? bench::count_named(argv[3]) : 9;
  const int threads = clipon::parallel::available_threads();
  std::printf("top 10 of %td x %td, %d threads, %s\n", rows, width, threads,
              clipon::to_string(clipon::cpu_report().picked));
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  clipon::Matrix some(1000, width);
  for (float* x = some.data(); x != some.data() + some.size(); ++x) *x = normal(engine);
  const clipon::Vector query = some.row(17).transpose();
  for (const auto type : {clipon::DataType::f16, clipon::DataType::i8, clipon::DataType::f32}) {
    clipon::StoredVectors store(type, width);
    for (index_t done = 0; done < rows; done += 1000) store.append(some.topRows(std::min<index_t>(1000, rows - done)));
    const auto view = store.view();
    const auto row_bytes = width * static_cast<index_t>(clipon::size_of(type));
    std::vector<double> searched;
    std::vector<double> read;
    std::uint64_t sum = 0;
    for (int round = 0; round < rounds; ++round) {
      read.push_back(bench::read_milliseconds(view.data, row_bytes * rows, threads, sum));
      const bench::Stopwatch watch;
      const auto found = clipon::search(view, query);
      searched.push_back(watch.milliseconds());
      sum += found.front().row;
    }
    const double bytes = static_cast<double>(rows * width) * static_cast<double>(clipon::size_of(type));
    std::printf("%-5s search %7.2f ms, %6.2f GB/s; reading alone %7.2f ms, %6.2f GB/s; %.2f of it (%llx)\n",
                clipon::to_string(type), bench::median(searched), bytes / bench::median(searched) * 1e-6,
                bench::median(read), bytes / bench::median(read) * 1e-6, bench::median(read) / bench::median(searched),
                static_cast<unsigned long long>(sum));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_search: %s\n", error.what());
  return 1;
}

// bench_zero_shot [THREADS] [ROUNDS]: 100,000 random unit vectors of 512 floats classified against 1,000 labels, beside
// the peak of f32 products on registers alone, and against 8 labels, beside the rate of reading the vectors; each in
// turn, ROUNDS times.  Ends with the medians.
#include <algorithm>
#include <clipon/clipon.hpp>
#include <clipon/core/finish_row.hpp>
#include <cstdio>
#include <random>
#include <vector>

#include "arguments.hpp"
#include "peak.hpp"
#include "read_memory.hpp"
#include "stopwatch.hpp"

namespace {

constexpr Eigen::Index kVectors = 100000;
constexpr Eigen::Index kWidth = 512;

clipon::Matrix unit_rows(Eigen::Index n, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  clipon::Matrix rows(n, kWidth);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index k = 0; k < kWidth; ++k) rows(i, k) = uniform(engine);
    clipon::detail::finish_row(&rows(i, 0), kWidth, true);
  }
  return rows;
}

double seconds_to_rank(const clipon::kernels::Context& context, const clipon::Matrix& rows,
                       const clipon::Matrix& prototypes, std::size_t top) {
  const clipon::detail::PackedPrototypes packed(context, prototypes);
  clipon::detail::RankJob job;
  job.labels = static_cast<std::size_t>(prototypes.rows());
  job.top = top;
  job.scale = 100.0f;
  const bench::Stopwatch watch;
  const auto ranking = clipon::detail::rank_rows(context, rows, packed, job);
  const double seconds = watch.milliseconds() * 1e-3;
  if (ranking.index.front() < 0) std::printf("impossible\n");  // the answers are used
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? bench::count_named(argv[1]) : 0;
  const int rounds = argc > 2 ? bench::count_named(argv[2]) : 5;
  const clipon::kernels::Context context{&clipon::kernels::select_table(clipon::Isa::best),
                                         {threads > 0 ? threads : clipon::parallel::available_threads()}};
  std::printf("%s, %d threads\n", clipon::to_string(context.kernels->isa), context.threads.count);
  const clipon::Matrix rows = unit_rows(kVectors, 1);
  const clipon::Matrix many = unit_rows(1000, 2);
  const clipon::Matrix few = unit_rows(8, 3);
  std::vector<double> of_peak;
  std::vector<double> of_reading;
  std::uint64_t sum = 0;
  for (int round = 0; round < rounds; ++round) {
    const double limit = bench::peak_rate(context, clipon::DataType::f32, 500.0, 1);
    const double wide = seconds_to_rank(context, rows, many, 5);
    const double rate = 2.0 * static_cast<double>(kVectors * 1000 * kWidth) / wide;
    of_peak.push_back(rate / limit);
    std::printf("1,000 labels: %6.3f s, %6.1f of %6.1f GFLOP/s: %.3f\n", wide, rate * 1e-9, limit * 1e-9, rate / limit);
    const double bytes = 4.0 * static_cast<double>(rows.size());
    const double milliseconds = bench::read_milliseconds(rows.data(), 4 * rows.size(), context.threads.count, sum);
    const double reading = bytes / milliseconds * 1e3;
    const double narrow = seconds_to_rank(context, rows, few, 1);
    const double read = bytes / narrow;
    of_reading.push_back(read / reading);
    std::printf("    8 labels: %6.3f s, %6.2f of %6.2f GB/s:     %.3f\n", narrow, read * 1e-9, reading * 1e-9,
                read / reading);
  }
  std::printf("medians: 1,000 labels at %.3f of the f32 peak, 8 labels at %.3f of the read rate\n",
              bench::median(of_peak), bench::median(of_reading));
  if (sum == 0) std::printf("impossible\n");  // what was read is used
  return 0;
}

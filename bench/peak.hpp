// What the processor could do now: products on registers alone (kernels/micro/peak.hpp), on every thread that a
// measurement uses.  Shares of the peak are told of one taken in the same run, since clocks change.
#pragma once

#include <algorithm>
#include <clipon/kernels/gemm.hpp>
#include <numeric>
#include <vector>

#include "stopwatch.hpp"

namespace bench {

/// Operations a second, 2 a product: the best of `tries` of at least `milliseconds` each.
inline double peak_rate(const clipon::kernels::Context& context, clipon::DataType type, double milliseconds = 5.0,
                        int tries = 3) {
  const int threads = context.threads.count;
  clipon::index_t steps = 100'000;  // about a millisecond
  double best = 0.0;
  for (int done = 0; done < tries;) {
    std::vector<double> operations(static_cast<std::size_t>(threads));
    const Stopwatch watch;
    clipon::parallel::parallel_for(context.threads, threads, [&](clipon::index_t i) {
      operations[static_cast<std::size_t>(i)] = context.kernels->peak(type, steps);
    });
    const double elapsed = watch.milliseconds();
    best = std::max(best, std::accumulate(operations.begin(), operations.end(), 0.0) * 1e3 / elapsed);
    if (elapsed < milliseconds) {
      steps *= 2;
    } else {
      ++done;
    }
  }
  return best;
}

}  // namespace bench

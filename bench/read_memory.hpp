// What reading memory costs, and nothing else: measurements of work on much data are told as a share of it.
#pragma once

#include <clipon/parallel/parallel_for.hpp>
#include <cstdint>
#include <vector>

#include "stopwatch.hpp"

namespace bench {

/// Milliseconds in which all threads add up `bytes` as fast as they can, eight words at a time.  sum: they are added to
/// it, so that they are read.
inline double read_milliseconds(const void* data, std::ptrdiff_t bytes, int threads, std::uint64_t& sum) {
  const auto* words = static_cast<const std::uint64_t*>(data);
  const clipon::index_t n = bytes / 8;
  const clipon::index_t pieces = 8 * threads;
  std::vector<std::uint64_t> parts(static_cast<std::size_t>(pieces));
  const Stopwatch watch;
  clipon::parallel::parallel_for({threads}, pieces, [&](clipon::index_t p) {
    std::uint64_t part[8] = {};
    const clipon::index_t end = (p + 1) * n / pieces / 8 * 8;
    for (clipon::index_t i = p * n / pieces / 8 * 8; i < end; i += 8) {
      for (clipon::index_t j = 0; j < 8; ++j) part[j] += words[i + j];
    }
    for (const std::uint64_t x : part) parts[static_cast<std::size_t>(p)] += x;
  });
  const double milliseconds = watch.milliseconds();
  for (const std::uint64_t x : parts) sum += x;
  return milliseconds;
}

}  // namespace bench

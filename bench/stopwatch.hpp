// Wall time, and the middle of several measurements.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <vector>

namespace bench {

class Stopwatch {
 public:
  [[nodiscard]] double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Of two in the middle, what lies between them.
inline double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return std::midpoint(x[(x.size() - 1) / 2], x[x.size() / 2]);
}

}  // namespace bench

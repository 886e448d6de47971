// What a measurement is made of: latencies of calls, the memory of this process.
#pragma once

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "stopwatch.hpp"

namespace bench {

/// Milliseconds of each call.
class Latencies {
 public:
  explicit Latencies(std::vector<double> milliseconds) : sorted_(std::move(milliseconds)) {
    std::sort(sorted_.begin(), sorted_.end());
  }
  [[nodiscard]] std::size_t calls() const { return sorted_.size(); }
  /// quantile: 0 .. 1; between two calls their latencies are interpolated, so that 0.5 is the median.
  [[nodiscard]] double percentile(double quantile) const {
    const double at = quantile * static_cast<double>(sorted_.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, sorted_.size() - 1);
    return std::lerp(sorted_[below], sorted_[above], at - static_cast<double>(below));
  }

 private:
  std::vector<double> sorted_;
};

/// Calls body() until `seconds` have passed, at least `least` times, after one call to warm up.
template <class Body>
Latencies time_calls(double seconds, std::size_t least, const Body& body) {
  body();
  std::vector<double> milliseconds;
  const Stopwatch total;
  while (milliseconds.size() < least || total.milliseconds() < 1e3 * seconds) {
    const Stopwatch watch;
    body();
    milliseconds.push_back(watch.milliseconds());
  }
  return Latencies(std::move(milliseconds));
}

/// A line of /proc/self/status in MB (10^6 bytes): "RssAnon", "VmHWM"; 0 where there is no such line.
inline double status_megabytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    long long kibibytes = 0;
    if (line.compare(0, key.size(), key) == 0 && line[key.size()] == ':' &&
        std::sscanf(line.c_str() + key.size() + 1, "%lld", &kibibytes) == 1) {
      return static_cast<double>(kibibytes) * 1024e-6;
    }
  }
  return 0.0;
}

/// How much of the machine's processors others use while this object lives: a measurement that they disturb says
/// little.
class OtherLoad {
 public:
  /// 0 .. 1, of all processors; 0 where /proc/stat can't be read.
  [[nodiscard]] double share() const {
    const Ticks now = read();
    const double elapsed = now.all - start_.all;
    if (!(elapsed > 0.0)) return 0.0;
    return std::clamp((now.busy - start_.busy - (now.own - start_.own)) / elapsed, 0.0, 1.0);
  }

 private:
  struct Ticks {
    double all = 0.0;
    double busy = 0.0;
    double own = 0.0;  // of this process
  };
  static Ticks read() {
    std::ifstream stat("/proc/stat");
    std::string cpu;
    double user = 0.0, nice = 0.0, system = 0.0, idle = 0.0, iowait = 0.0, irq = 0.0, softirq = 0.0, steal = 0.0;
    stat >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
    const double busy = user + nice + system + irq + softirq + steal;
    const double own = static_cast<double>(std::clock()) / CLOCKS_PER_SEC * static_cast<double>(sysconf(_SC_CLK_TCK));
    return {busy + idle + iowait, busy, own};
  }
  Ticks start_ = read();
};

/// What models before left free goes back to the system, so that it is not counted for the next one.
inline void release_free_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

/// VmHWM, the highest resident size, starts anew from now.
inline void reset_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace bench

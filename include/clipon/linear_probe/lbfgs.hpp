// L-BFGS: the minimum of a smooth function of many variables from its gradients.  Layer 6; called by
// logistic_regression.hpp.  Nocedal and Wright 2006, algorithm 7.4 (two loops) and section 3.1 (Wolfe conditions); the
// line search by bisection is that of Lewis and Overton 2013, algorithm 2.6.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <vector>

#include "clipon/core/config.hpp"
#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI {

struct LbfgsOptions {
  int max_iterations = 1000;
  double gradient_tolerance = 1e-6;  ///< stop when no element of the gradient is larger
};

struct LbfgsResult {
  double value = 0.0;
  double greatest_gradient = 0.0;
  int iterations = 0;
  bool converged = false;  ///< by the tolerance, or because the numbers' precision allows no further descent
};

namespace detail {

using Point = std::vector<double>;

inline double dot(const Point& a, const Point& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline double greatest_magnitude(const Point& a) {
  double most = 0.0;
  for (const double x : a) most = std::max(most, std::fabs(x));
  return most;
}

/// The last steps and gradient changes, and the direction that they make of a gradient.
class LbfgsMemory {
 public:
  void add(Point step, Point change) {
    const double curvature = dot(step, change);
    if (!(curvature > 0.0)) return;  // the pair would spoil positive definiteness
    if (pairs_.size() == kMost) pairs_.pop_front();
    pairs_.push_back({std::move(step), std::move(change), curvature});
  }
  [[nodiscard]] bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }

  [[nodiscard]] Point direction(const Point& gradient) const {
    Point q = gradient;
    std::vector<double> alpha(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      alpha[i] = dot(pairs_[i].step, q) / pairs_[i].curvature;
      for (std::size_t k = 0; k < q.size(); ++k) q[k] -= alpha[i] * pairs_[i].change[k];
    }
    if (!pairs_.empty()) {
      const double scale = pairs_.back().curvature / dot(pairs_.back().change, pairs_.back().change);
      for (double& x : q) x *= scale;
    }
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const double beta = dot(pairs_[i].change, q) / pairs_[i].curvature;
      for (std::size_t k = 0; k < q.size(); ++k) q[k] += (alpha[i] - beta) * pairs_[i].step[k];
    }
    for (double& x : q) x = -x;
    return q;
  }

 private:
  struct Pair {
    Point step;
    Point change;
    double curvature;
  };
  static constexpr std::size_t kMost = 10;  // as scikit-learn
  std::deque<Pair> pairs_;
};

/// How far to go from x along `direction`, of which the function falls by `slope`: a step of sufficient decrease that
/// has left the steep part (Wolfe conditions), by doubling and bisection.
template <class Function>
struct LineSearch {
  const Function& function;
  Point next;      // where the search stands
  Point gradient;  // there
  double value = 0.0;

  /// False if no such step was found; then the last that was tried stands.
  bool run(const Point& x, double start, const Point& direction, double slope, double step) {
    double low = 0.0;
    double high = 0.0;  // 0: none yet
    for (int attempt = 0; attempt < 40; ++attempt) {
      for (std::size_t i = 0; i < x.size(); ++i) next[i] = x[i] + step * direction[i];
      value = function(next, gradient);
      if (!(value <= start + 1e-4 * step * slope)) {
        high = step;  // too far: no sufficient decrease
      } else if (dot(direction, gradient) < 0.9 * slope) {
        low = step;  // too near: it still falls steeply
      } else {
        return true;
      }
      step = high > 0.0 ? 0.5 * (low + high) : 2.0 * low;
    }
    return false;
  }
};

}  // namespace detail

/// Minimises `function(x, gradient)`, which returns the value and fills the gradient, from x on; x becomes the minimum.
template <class Function>
LbfgsResult minimise_lbfgs(const Function& function, std::vector<double>& x, const LbfgsOptions& options = {}) {
  using detail::Point;
  LbfgsResult result;
  Point gradient(x.size());
  result.value = function(x, gradient);
  detail::LbfgsMemory memory;
  detail::LineSearch<Function> search{function, Point(x.size()), Point(x.size())};
  for (;; ++result.iterations) {
    result.greatest_gradient = detail::greatest_magnitude(gradient);
    if (!is_finite(result.value)) return result;  // nothing shows where to go
    result.converged = result.greatest_gradient <= options.gradient_tolerance;
    if (result.converged || result.iterations >= options.max_iterations) return result;
    Point direction = memory.direction(gradient);
    double slope = detail::dot(direction, gradient);
    if (!(slope < 0.0)) {  // rounding has spoilt the memory
      memory.clear();
      direction = memory.direction(gradient);
      slope = detail::dot(direction, gradient);
    }
    // The first step has no scale yet: one of unit length.
    const double step = memory.empty() ? 1.0 / std::sqrt(-slope) : 1.0;
    const bool found = search.run(x, result.value, direction, slope, step);
    if (!found && !(search.value < result.value)) {
      if (memory.empty()) {  // the decrease is below the rounding of the value
        result.converged = true;
        return result;
      }
      memory.clear();  // down the gradient there may be one
      continue;
    }
    Point moved(x.size());
    Point change(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      moved[i] = search.next[i] - x[i];
      change[i] = search.gradient[i] - gradient[i];
    }
    memory.add(std::move(moved), std::move(change));
    x.swap(search.next);
    gradient.swap(search.gradient);
    result.value = search.value;
  }
}

}  // namespace clipon::inline CLIPON_ABI

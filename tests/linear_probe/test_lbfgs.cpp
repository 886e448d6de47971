// L-BFGS on functions whose minimum is known.
#include <clipon/linear_probe/lbfgs.hpp>
#include <cmath>

#include "support.hpp"

using namespace clipon;

TEST_CASE("a quadratic of very unequal curvatures, and Rosenbrock's valley") {
  const auto quadratic = [](const std::vector<double>& x, std::vector<double>& gradient) {
    double value = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double curvature = std::pow(10.0, static_cast<double>(i % 5));
      value += 0.5 * curvature * (x[i] - 1.0) * (x[i] - 1.0);
      gradient[i] = curvature * (x[i] - 1.0);
    }
    return value;
  };
  std::vector<double> x(20, 0.0);
  LbfgsOptions options;
  options.gradient_tolerance = 1e-8;
  const LbfgsResult found = minimise_lbfgs(quadratic, x, options);
  CHECK(found.converged);
  for (const double value : x) CHECK(std::fabs(value - 1.0) < 1e-8);

  const auto rosenbrock = [](const std::vector<double>& p, std::vector<double>& gradient) {
    const double a = 1.0 - p[0];
    const double b = p[1] - p[0] * p[0];
    gradient[0] = -2.0 * a - 400.0 * p[0] * b;
    gradient[1] = 200.0 * b;
    return a * a + 100.0 * b * b;
  };
  std::vector<double> p = {-1.2, 1.0};
  const LbfgsResult valley = minimise_lbfgs(rosenbrock, p, options);
  CHECK(valley.converged);
  CHECK(std::fabs(p[0] - 1.0) < 1e-6);
  CHECK(std::fabs(p[1] - 1.0) < 1e-6);
  CHECK(valley.iterations < 100);

  options.max_iterations = 2;
  p = {-1.2, 1.0};
  CHECK_FALSE(minimise_lbfgs(rosenbrock, p, options).converged);
}

TEST_CASE("a minimum near the start or far from it is found, and a start that is one is left alone") {
  for (const double minimum : {0.0, 1e-6, -1e7}) {
    const auto parabola = [&](const std::vector<double>& x, std::vector<double>& gradient) {
      gradient[0] = x[0] - minimum;
      return 0.5 * gradient[0] * gradient[0];
    };
    std::vector<double> x = {0.0};
    LbfgsOptions options;
    options.gradient_tolerance = 0.0;
    const LbfgsResult found = minimise_lbfgs(parabola, x, options);
    CHECK(found.converged);
    CHECK(std::fabs(x[0] - minimum) <= 1e-8 * std::fabs(minimum));
    if (minimum == 0.0) CHECK(found.iterations == 0);
  }
}

TEST_CASE("the last iteration that is allowed may be the one that converges") {
  const auto parabola = [](const std::vector<double>& x, std::vector<double>& gradient) {
    gradient[0] = 2.0 * (x[0] - 1.0);
    return (x[0] - 1.0) * (x[0] - 1.0);
  };
  LbfgsOptions options;
  options.max_iterations = 1;
  std::vector<double> x = {0.0};  // the first step has unit length
  CHECK(minimise_lbfgs(parabola, x, options).converged);
  CHECK(x[0] == 1.0);
}

TEST_CASE("what has no value has not converged") {
  const auto nothing = [](const std::vector<double>&, std::vector<double>& gradient) {
    gradient[0] = std::nan("");
    return std::nan("");
  };
  std::vector<double> x = {1.0};
  const LbfgsResult found = minimise_lbfgs(nothing, x, {});
  CHECK_FALSE(found.converged);
  CHECK(found.iterations == 0);
  CHECK(x[0] == 1.0);
}

TEST_CASE("what falls for ever has not converged") {
  const auto slope = [](const std::vector<double>& x, std::vector<double>& gradient) {
    gradient[0] = -1.0;
    return -x[0];
  };
  std::vector<double> x = {0.0};
  LbfgsOptions options;
  options.max_iterations = 3;
  CHECK_FALSE(minimise_lbfgs(slope, x, options).converged);
}

TEST_CASE("a minimisation that runs out of iterations tells the gradient where it ended") {
  const auto square = [](const std::vector<double>& x, std::vector<double>& gradient) {
    gradient[0] = 2.0 * x[0];
    return x[0] * x[0];
  };
  std::vector<double> x = {100.0};
  LbfgsOptions options;
  options.max_iterations = 1;
  const LbfgsResult found = minimise_lbfgs(square, x, options);
  CHECK_FALSE(found.converged);
  CHECK(found.greatest_gradient == std::fabs(2.0 * x[0]));
}

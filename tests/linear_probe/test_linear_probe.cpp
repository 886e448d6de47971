// The probe's minimum, its zero-shot start, the sweep of C, saved files.  scikit-learn and PyTorch are in
// tests/parity.
#include <unistd.h>

#include <clipon/linear_probe/logistic_regression.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "linear_probe/clusters.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

using namespace clipon;
using support::kProbeLabels;
using support::probe_data;
using support::ProbeData;

namespace {

// The objective in double, written out.
double objective(const LinearProbe& probe, const ProbeData& data, double c, const Matrix* prior, float scale) {
  double value = 0.0;
  const auto n = static_cast<double>(data.classes.size());
  for (Eigen::Index i = 0; i < data.rows.rows(); ++i) {
    double sum = 0.0;
    double own = 0.0;
    for (Eigen::Index j = 0; j < 3; ++j) {
      const double logit =
          support::dot(data.rows, i, probe.weights(), j) + double{probe.bias()[static_cast<std::size_t>(j)]};
      sum += std::exp(logit);
      if (j == static_cast<Eigen::Index>(data.classes[static_cast<std::size_t>(i)])) own = logit;
    }
    value += (std::log(sum) - own) / n;
  }
  for (Eigen::Index j = 0; j < 3; ++j) {
    for (Eigen::Index k = 0; k < probe.weights().cols(); ++k) {
      const double start = prior == nullptr ? 0.0 : double{scale} * double{(*prior)(j, k)};
      const double away = double{probe.weights()(j, k)} - start;
      value += away * away / (2.0 * c * n);
    }
  }
  return value;
}

}  // namespace

TEST_CASE("the objective's gradient is its slope, in each direction") {
  const kernels::Context context{&kernels::select_table(Isa::best), {1}};
  support::Random random(51);
  const Matrix x = support::unit_rows(random, 20, 16);
  std::vector<std::size_t> classes;
  for (std::size_t i = 0; i < 20; ++i) classes.push_back(i % 3);
  for (const bool with_prior : {false, true}) {
    std::vector<float> prior(3 * 16, 0.0f);
    for (float& w : prior) w = with_prior ? random.normal() : 0.0f;
    const detail::LogisticRegression function(context, x, classes, 3, prior);
    std::vector<double> point(function.parameters());
    for (double& w : point) w = double{random.normal()};
    std::vector<double> gradient(point.size());
    std::vector<double> unused(point.size());
    const double c = 0.1;
    (void)function.evaluate(c, point, gradient);
    const double step = 0.02;  // third derivatives are below 1: the slope is off by at most step^2 / 6
    for (std::size_t i = 0; i < point.size(); ++i) {
      std::vector<double> above = point;
      std::vector<double> below = point;
      above[i] += step;
      below[i] -= step;
      const double slope = (function.evaluate(c, above, unused) - function.evaluate(c, below, unused)) / (2.0 * step);
      CHECK(std::fabs(slope - gradient[i]) < 2e-4);
    }
  }
}

TEST_CASE("the probe's objective is what it says, and no step around lowers it") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(81, 60, 2.0f);
  for (const double c : {0.1, 31.6}) {
    ProbeOptions options;
    options.c = c;
    const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
    CHECK(probe.fit().converged);
    CHECK(probe.c() == c);
    CHECK(probe.fit().objective == doctest::Approx(objective(probe, data, c, nullptr, 1.0f)).epsilon(1e-5));
    CHECK(probe.fit().objective < std::log(3.0));
    CHECK(probe.accuracy(data.rows, data.classes) > 0.9);
  }
}

TEST_CASE("a C that leaves W nothing to say still lets the bias learn how often each class is") {
  const Model& model = support::demo_model();
  ProbeData data = probe_data(85, 60, 2.0f);
  const double counts[] = {6.0, 51.0, 3.0};
  double entropy = 0.0;  // the least of the objective where W = 0
  for (const double count : counts) entropy -= count / 60.0 * std::log(count / 60.0);
  for (std::size_t i = 0; i < data.classes.size(); ++i) data.classes[i] = i < 6 ? 0 : i < 57 ? 1 : 2;
  for (const double c : {1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-100}) {
    CAPTURE(c);
    ProbeOptions options;
    options.c = c;
    const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
    CHECK(probe.fit().converged);
    CHECK(probe.fit().iterations < 50);
    CHECK(probe.fit().objective <= entropy + 1e-6);
    CHECK(probe.fit().objective >= entropy - 0.01);
    CHECK(std::fabs(double{probe.bias()[1] - probe.bias()[2]} - std::log(51.0 / 3.0)) < 0.01);
  }
}

TEST_CASE("from a zero-shot start: a tiny C is zero-shot, a large one is the plain probe") {
  const Model& model = support::demo_model();
  const Classifier zero_shot(model, kProbeLabels);
  const ProbeData data = probe_data(82, 30, 2.0f);
  ProbeOptions options;
  options.zero_shot = &zero_shot;
  options.c = 1e-9;
  const auto held = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
  const auto found = held.classify_embeddings(data.rows);
  const auto expected = zero_shot.classify_embeddings(data.rows);
  // the bias is free, so it alone has moved: weights are the prototypes
  for (Eigen::Index k = 0; k < held.weights().cols(); ++k) {
    CHECK(held.weights()(1, k) ==
          doctest::Approx(double{model.logit_scale() * zero_shot.prototypes()(1, k)}).epsilon(1e-3));
  }
  REQUIRE(found.size() == expected.size());
  options.c = 10.0;
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
  CHECK(probe.fit().objective ==
        doctest::Approx(objective(probe, data, 10.0, &zero_shot.prototypes(), model.logit_scale())).epsilon(1e-5));
  const Classifier other(model, {"a", "b", "c"});
  const Classifier narrow(Model::load_from_memory(support::tiny_model().bytes()), kProbeLabels);
  support::TinyShape wide;
  wide.embed_dim = static_cast<std::uint64_t>(model.embed_dim());
  const Classifier of_another_model(Model::load_from_memory(support::tiny_model(wide).bytes()), kProbeLabels);
  for (const Classifier* wrong : {&other, &narrow, &of_another_model}) {
    options.zero_shot = wrong;
    CHECK(support::code_of([&] { (void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options); }) ==
          ErrorCode::invalid_argument);
  }
}

TEST_CASE("the sweep of C goes as the paper says and finds the best of what it tried") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(83, 45, 3.0f);
  const ProbeData validation = probe_data(84, 90, 3.0f);
  std::vector<SweepStep> tried;
  const double c =
      choose_c(model, data.rows, data.classes, validation.rows, validation.classes, kProbeLabels, {}, &tried);
  CHECK(tried.size() >= 7 + 4);
  CHECK(tried.size() <= 7 + 8);
  double best = 0.0;
  for (const SweepStep& step : tried) best = std::max(best, step.accuracy);
  ProbeOptions options;
  options.c = c;
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
  CHECK(probe.accuracy(validation.rows, validation.classes) == best);
}

TEST_CASE("a saved probe answers as before and belongs to its model") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(85, 30, 1.0f);
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("clipon-probe-" + std::to_string(::getpid()))).string();
  probe.save(path);
  const auto loaded = LinearProbe::load(model, path);
  CHECK(loaded.labels() == kProbeLabels);
  CHECK(loaded.c() == probe.c());
  CHECK(loaded.logits(data.rows) == probe.logits(data.rows));
  const auto top = loaded.classify_embeddings(data.rows, 2)[4];
  REQUIRE(top.size() == 2);
  CHECK(top[0].index == 1);
  CHECK(top[0].probability > top[1].probability);
  CHECK(support::code_of([&] { (void)Classifier::load(model, path); }) == ErrorCode::bad_value);  // another kind
  std::remove(path.c_str());
  CHECK(support::code_of([&] { (void)LinearProbe::load(model, path); }) == ErrorCode::io);
  CHECK(support::code_of([&] { probe.save("/nonexistent/probe"); }) == ErrorCode::io);
}

TEST_CASE("examples that make no sense are refused") {
  const Model& model = support::demo_model();
  ProbeData data = probe_data(86, 9, 1.0f);
  const auto refused = [&](const ProbeOptions& options) {
    return support::code_of([&] { (void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options); });
  };
  ProbeOptions options;
  for (const double c : {0.0, -1.0, std::nan(""), 1e-310}) {
    options.c = c;
    CHECK(refused(options) == ErrorCode::invalid_argument);
  }
  CHECK(support::code_of([&] { (void)LinearProbe::train(model, data.rows.leftCols(5), data.classes, kProbeLabels); }) ==
        ErrorCode::invalid_argument);
  data.classes[2] = 3;
  CHECK(refused({}) == ErrorCode::invalid_argument);
  data.classes[2] = 0;
  data.rows(1, 1) = std::nanf("");
  CHECK(refused({}) == ErrorCode::not_finite);
  CHECK_THROWS_WITH_AS((void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels),
                       "embedding 1: expected finite numbers, found NaN or infinity", Error);
  data.classes.pop_back();
  CHECK(refused({}) == ErrorCode::invalid_argument);
  data.classes.resize(10);
  CHECK(refused({}) == ErrorCode::invalid_argument);
}

TEST_CASE("where every C separates the classes, the usual one is chosen, and the sweep stays within its range") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(89, 30, 0.3f);
  std::vector<SweepStep> tried;
  const double c = choose_c(model, data.rows, data.classes, data.rows, data.classes, kProbeLabels, {}, &tried);
  REQUIRE(tried.size() > 7);
  CHECK(tried.front().c == doctest::Approx(1e-6));
  CHECK(tried.back().c == doctest::Approx(1e6));
  CHECK(tried.back().accuracy == 1.0);
  CHECK(c == doctest::Approx(31.6).epsilon(0.01));
  ProbeOptions options;
  options.c = 1e6;
  CHECK(choose_c(model, data.rows, data.classes, data.rows, data.classes, kProbeLabels, options, &tried) ==
        doctest::Approx(1e6));
  CHECK(tried.back().c == doctest::Approx(1e6));
}

TEST_CASE("a probe answers by its logits, also where probabilities round to the same") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(90, 30, 1.0f);
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels);
  const Matrix rows = 1000.0f * data.rows;  // of three probabilities two are 0
  const Matrix logits = probe.logits(rows);
  const auto found = probe.classify_embeddings(rows);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto logit = [&](std::size_t k) {
      return logits(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(found[i][k].index));
    };
    CHECK(logit(0) > logit(1));
    CHECK(logit(1) > logit(2));
    CHECK(found[i][0].probability > 0.99f);
    CHECK(found[i][1].probability >= found[i][2].probability);
  }
}

TEST_CASE("a label without examples stays zero-shot, and is refused where nothing says what it is") {
  const Model& model = support::demo_model();
  const Classifier zero_shot(model, kProbeLabels);
  ProbeData data = probe_data(91, 30, 1.0f);
  for (std::size_t& one : data.classes) one = one == 1 ? 2 : one;
  ProbeOptions options;
  options.zero_shot = &zero_shot;
  options.c = 1000.0;
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options);
  CHECK(probe.bias()[1] == 0.0f);
  CHECK(probe.weights().row(1) == Matrix(model.logit_scale() * zero_shot.prototypes().row(1)));
  CHECK(probe.weights().row(0) != Matrix(model.logit_scale() * zero_shot.prototypes().row(0)));
  CHECK(probe.accuracy(data.rows, data.classes) > 0.9);
  // the others' mean stays at its 0 but for the rounding of gradients, which is far below a logit that matters
  CHECK(std::fabs(probe.bias()[0] + probe.bias()[2]) < 0.02f);
  CHECK_THROWS_WITH_AS((void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels),
                       "label 'guitar': expected an example, or a zero-shot classifier to start from", Error);
}

TEST_CASE("embeddings that failed are no shots and no right answers") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, kProbeLabels);
  ProbeData data = probe_data(92, 6, 1.0f);
  const TipAdapter adapter(classifier, data.rows, data.classes);
  const auto probe = LinearProbe::train(model, data.rows, data.classes, kProbeLabels);
  Matrix failed(4, data.rows.cols());
  failed.fill(std::nanf(""));
  const std::vector<std::size_t> firsts(4, 0);
  CHECK(adapter.accuracy(failed, firsts) == 0.0);
  CHECK(probe.accuracy(failed, firsts) == 0.0);
  CHECK(adapter.accuracy(failed.topRows(0), {}) == 0.0);  // nor is any of none
  data.rows(1, 1) = std::nanf("");
  CHECK(support::code_of([&] { (void)TipAdapter(classifier, data.rows, data.classes); }) == ErrorCode::not_finite);
  CHECK_THROWS_WITH_AS((void)TipAdapter(classifier, data.rows, data.classes),
                       "shot 1: expected finite numbers, found NaN or infinity", Error);
}

TEST_CASE("a probe's answers: W x + b, rows that lie apart, none for what is not finite, one chosen") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(89, 40, 1.0f);
  std::vector<std::size_t> classes = data.classes;
  for (std::size_t i = 0; i < 20; ++i) classes[i] = 0;  // unequal shares: the bias is not 0
  const auto probe = LinearProbe::train(model, data.rows, classes, kProbeLabels);
  const Eigen::Index width = data.rows.cols();
  Matrix apart = Matrix::Ones(40, width + 5);
  apart.leftCols(width) = data.rows;
  CHECK(LinearProbe::train(model, apart.leftCols(width), classes, kProbeLabels).weights() == probe.weights());
  const Matrix logits = probe.logits(apart.leftCols(width));
  for (Eigen::Index i = 0; i < 40; ++i) {
    for (Eigen::Index j = 0; j < 3; ++j) {
      const double bias = double{probe.bias()[static_cast<std::size_t>(j)]};
      CHECK(double{logits(i, j)} ==
            doctest::Approx(support::dot(data.rows, i, probe.weights(), j) + bias).epsilon(1e-4));
    }
  }
  Matrix rows = data.rows.topRows(2);
  rows(0, 3) = std::nanf("");
  const auto found = probe.classify_embeddings(rows, 99);
  CHECK(found[0].empty());
  REQUIRE(found[1].size() == 3);
  CHECK(found[1][0].chosen);
  CHECK_FALSE(found[1][1].chosen);
  CHECK(support::code_of([&] { (void)probe.accuracy(rows, data.classes); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)probe.logits(rows.leftCols(5)); }) == ErrorCode::invalid_argument);
}

TEST_CASE("training keeps to its limits, and needs examples") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(90, 30, 2.0f);
  ProbeOptions options;
  options.max_iterations = 1;
  CHECK(LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options).fit().iterations == 1);
  CHECK_FALSE(LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options).fit().converged);
  options.max_iterations = 0;
  CHECK(LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options).fit().iterations == 0);
  options.max_iterations = -1;
  CHECK_THROWS_WITH_AS((void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options),
                       "probe: expected iterations and a gradient's tolerance of 0 or more, found -1 and 1e-06", Error);
  options = {};
  for (const double tolerance : {-1e-9, std::nan("")}) {
    options.gradient_tolerance = tolerance;
    CHECK(support::code_of([&] { (void)LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options); }) ==
          ErrorCode::invalid_argument);
  }
  options.gradient_tolerance = 0.5;  // met by the start
  CHECK(LinearProbe::train(model, data.rows, data.classes, kProbeLabels, options).fit().iterations == 0);
  CHECK(support::code_of([&] {
          (void)LinearProbe::train(model, data.rows.topRows(0), std::vector<std::size_t>{}, kProbeLabels);
        }) == ErrorCode::invalid_argument);
}

TEST_CASE("the sweep: from 1e-6 to 1e6, eighths of a decade around the best") {
  const Model& model = support::demo_model();
  const ProbeData data = probe_data(91, 12, 2.0f);
  const ProbeData validation = probe_data(92, 60, 4.0f);
  std::vector<SweepStep> tried(3);  // what it holds goes
  const double c =
      choose_c(model, data.rows, data.classes, validation.rows, validation.classes, kProbeLabels, {}, &tried);
  REQUIRE(tried.size() > 7);
  CHECK(tried.front().c / 1e-6 == doctest::Approx(1.0));
  CHECK(tried.back().c / 1e6 == doctest::Approx(1.0));
  CHECK(std::any_of(tried.begin(), tried.end(), [&](const SweepStep& step) {
    return std::fabs(std::log10(step.c / c)) > 0.12 && std::fabs(std::log10(step.c / c)) < 0.13;
  }));
  std::vector<std::size_t> wrong = validation.classes;
  wrong[3] = 3;
  CHECK(support::code_of([&] {
          (void)choose_c(model, data.rows, data.classes, validation.rows, wrong, kProbeLabels, {});
        }) == ErrorCode::invalid_argument);
}

// Shots and Tip-Adapter.  PyTorch's are in tests/parity.
#include <cmath>
#include <set>

#include "linear_probe/clusters.hpp"
#include "support.hpp"

using namespace clipon;
using support::kProbeLabels;
using support::probe_data;
using support::ProbeData;

TEST_CASE("shots: as many of each class as asked for, the fewer among the more, the same for the same seed") {
  std::vector<std::size_t> classes;
  for (std::size_t i = 0; i < 50; ++i) classes.push_back(i % 4 == 0 ? 0 : i % 3);
  const auto four = choose_shots(classes, 3, 4, 5);
  CHECK(four.size() == 12);
  CHECK(choose_shots(classes, 3, 4, 5) == four);
  CHECK(choose_shots(classes, 3, 4, 6) != four);
  const auto eight = choose_shots(classes, 3, 8, 5);
  const std::set<std::size_t> more(eight.begin(), eight.end());
  CHECK(more.size() == 24);
  for (const std::size_t i : four) CHECK(more.contains(i));
  CHECK(choose_shots(classes, 3, 1000, 5).size() == 50);
  CHECK(support::code_of([&] { (void)choose_shots(classes, 2, 1, 1); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)choose_shots(classes, SIZE_MAX, 1, 1); }) == ErrorCode::invalid_argument);
}

TEST_CASE("Tip-Adapter: zero-shot logits plus the shots' votes, by the paper's formula") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, kProbeLabels);
  const ProbeData shots = probe_data(87, 6, 1.0f);
  const ProbeData queries = probe_data(88, 5, 1.0f);
  TipAdapterOptions options;
  options.alpha = 2.0f;
  options.beta = 3.0f;
  const Matrix found = TipAdapter(classifier, shots.rows, shots.classes, options).logits(queries.rows);
  for (Eigen::Index i = 0; i < 5; ++i) {
    for (Eigen::Index j = 0; j < 3; ++j) {
      double expected = double{model.logit_scale()} * support::dot(queries.rows, i, classifier.prototypes(), j);
      for (Eigen::Index s = 0; s < 6; ++s) {
        if (s % 3 == j) expected += 2.0 * std::exp(-3.0 * (1.0 - support::dot(queries.rows, i, shots.rows, s)));
      }
      CHECK(double{found(i, j)} == doctest::Approx(expected).epsilon(1e-5));
    }
  }
  ClassifyOptions with_background;
  with_background.background = {"something"};
  const Classifier against(model, kProbeLabels, with_background);
  const Matrix beside = TipAdapter(against, shots.rows, shots.classes, options).logits(queries.rows);
  REQUIRE(beside.cols() == 3);  // the background has no logit
  CHECK((beside == found));
  for (const Classifier* one : {&classifier, &against}) {
    CHECK(support::code_of([&] {
            const std::vector<std::size_t> wrong(6, 3);
            const TipAdapter adapter(*one, shots.rows, wrong);
          }) == ErrorCode::invalid_argument);
  }
}

TEST_CASE("Tip-Adapter: beta from 0, where all shots vote alike, to 1,000; finite alpha") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, kProbeLabels);
  const ProbeData shots = probe_data(87, 6, 1.0f);
  const auto logits = [&](float alpha, float beta) {
    TipAdapterOptions options;
    options.alpha = alpha;
    options.beta = beta;
    return TipAdapter(classifier, shots.rows, shots.classes, options).logits(shots.rows);
  };
  const Matrix none = logits(0.0f, 1.0f);
  for (const auto& [beta, vote] : {std::pair{0.0f, 2.0}, {1000.0f, 1.0}}) {  // of two shots a label; of itself alone
    const Matrix found = logits(1.0f, beta);
    CHECK(double{found(0, static_cast<Eigen::Index>(shots.classes[0]))} ==
          doctest::Approx(double{none(0, static_cast<Eigen::Index>(shots.classes[0]))} + vote).epsilon(1e-3));
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float beta : {-1e-3f, 1001.0f, infinity, std::nanf("")}) {
    CHECK(support::code_of([&] { (void)logits(1.0f, beta); }) == ErrorCode::invalid_argument);
  }
  CHECK(support::code_of([&] { (void)logits(infinity, 1.0f); }) == ErrorCode::invalid_argument);
}

TEST_CASE("shots are the same on every machine and in every version") {
  CHECK(choose_shots(std::vector<std::size_t>(10, 0), 1, 5, 1) == std::vector<std::size_t>{1, 7, 3, 9, 4});
}

TEST_CASE("Tip-Adapter: many queries and shots that lie apart; what does not fit is refused") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, kProbeLabels);
  const ProbeData shots = probe_data(93, 6, 1.0f);
  const ProbeData queries = probe_data(94, 1300, 1.0f);  // more than a block
  const Eigen::Index width = shots.rows.cols();
  Matrix apart = Matrix::Ones(6, width + 5);
  apart.leftCols(width) = shots.rows;
  const TipAdapter adapter(classifier, apart.leftCols(width), shots.classes);
  const Matrix all = adapter.logits(queries.rows);
  CHECK(all.bottomRows(1) == TipAdapter(classifier, shots.rows, shots.classes).logits(queries.rows.bottomRows(1)));
  CHECK(support::code_of([&] { const TipAdapter wrong(classifier, shots.rows.topRows(5), shots.classes); }) ==
        ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { const TipAdapter wrong(classifier, shots.rows.leftCols(8), shots.classes); }) ==
        ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)adapter.logits(queries.rows.leftCols(8)); }) == ErrorCode::invalid_argument);
}

// Thresholds for a wanted precision, and the area under the ROC curve.
#include <cmath>
#include <string>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

TEST_CASE("AUROC: the share of pairs in the right order, ties half") {
  const std::vector<float> high = {0.9f, 0.5f, 0.5f};
  const std::vector<float> low = {0.5f, 0.1f};
  double wins = 0.0;
  for (const float p : high) {
    for (const float n : low) wins += p > n ? 1.0 : (p == n ? 0.5 : 0.0);
  }
  CHECK(auroc(high, low) == doctest::Approx(wins / 6.0));
  CHECK(auroc(low, high) == doctest::Approx(1.0 - wins / 6.0));
  CHECK(auroc({}, low) == 0.5);
}

TEST_CASE("the threshold accepts as much as the wanted precision allows, equal scores together") {
  const std::vector<float> scores = {0.9f, 0.8f, 0.7f, 0.7f, 0.5f, 0.4f};
  const std::vector<char> right = {1, 1, 0, 1, 1, 0};
  const std::vector<char> known = {1, 1, 1, 1, 1, 0};
  const auto at = [&](double precision) {
    return detail::cut_for_precision(RejectRule::cosine, scores, right, known, precision);
  };
  CHECK(at(1.0).threshold == 0.8f);
  CHECK(at(1.0).coverage == doctest::Approx(2.0 / 6.0));
  CHECK(at(0.75).threshold == 0.5f);  // 4 of 5
  CHECK(at(0.75).precision == doctest::Approx(0.8));
  CHECK(at(0.78).threshold == 0.5f);  // though 3 of 4 are too few
  CHECK(at(0.1).coverage == 1.0);
  CHECK(at(0.1).auroc_right == doctest::Approx((2.0 * 2.0 + 1.5 + 1.0) / 8.0));  // 0.7 ties with 0.7; 0.5 beats 0.4
  CHECK(at(0.1).auroc_known == 1.0);
  const auto none = detail::cut_for_precision(RejectRule::cosine, scores, std::vector<char>(6, 0), known, 0.5);
  CHECK(none.coverage == 0.0);
  CHECK(none.threshold > 0.9f);
  CHECK(std::string(to_string(RejectRule::cosine)) == "cosine");
  CHECK(std::string(to_string(RejectRule::margin)) == "margin");
  CHECK(std::string(to_string(RejectRule::background)) == "background");
}

TEST_CASE("calibration keeps the threshold of the rule that tells right from wrong, whichever it is") {
  const Model& model = support::demo_model();
  Classifier classifier(model, std::vector<std::string>{"pizza", "guitar"});
  const Matrix& labels = classifier.prototypes();
  support::Random random(54);
  const auto picture = [&](float first, float second, float noise) {
    Matrix row = noise * support::unit_rows(random, 1, labels.cols());
    row += first * labels.row(0) + second * labels.row(1);
    row /= row.norm();
    return row;
  };
  const Matrix near_both = picture(1.0f, 0.9f, 0.0f);
  const Matrix near_one = picture(0.7f, 0.0f, 1.0f);
  const Ranking ranking = classifier.rank(near_both, 1);
  const Ranking other = classifier.rank(near_one, 1);
  REQUIRE(ranking.cosine[0] > other.cosine[0]);
  REQUIRE(ranking.margin[0] < other.margin[0]);
  for (const bool cosine_tells : {true, false}) {
    Matrix rows(2, labels.cols());
    rows << (cosine_tells ? near_both : near_one), (cosine_tells ? near_one : near_both);
    const std::vector<std::size_t> truth = {0, Classifier::kUnknown};
    const auto reports = classifier.calibrate(rows, truth, 1.0);
    CHECK(reports[0].coverage == (cosine_tells ? 0.5 : 0.0));
    CHECK(reports[1].coverage == (cosine_tells ? 0.0 : 0.5));
    const auto found = classifier.classify_embeddings(rows);
    CHECK(found[0][0].chosen);
    CHECK_FALSE(found[1][0].chosen);
  }
}

TEST_CASE("a calibrated classifier keeps the precision on the pictures that it was calibrated on") {
  const Model& model = support::demo_model();
  support::Random random(51);
  ClassifyOptions options;
  options.background = {"something"};
  Classifier classifier(model, std::vector<std::string>{"pizza", "guitar", "house"}, options);
  // pictures: noisy prototypes; every fourth shows nothing
  Matrix rows = support::clustered_rows(random, 400, model.embed_dim(), classifier.prototypes(), 1.5f);
  std::vector<std::size_t> truth;
  for (std::size_t i = 0; i < 400; ++i) truth.push_back(i % 4 == 3 ? Classifier::kUnknown : i % 4);
  for (const double wanted : {0.8, 0.95, 0.99}) {
    const auto reports = classifier.calibrate(rows, truth, wanted);
    REQUIRE(reports.size() == 3);
    double most = 0.0;
    for (const RuleReport& report : reports) {
      CHECK(report.precision >= wanted);
      CHECK(report.auroc_right > 0.5);
      CHECK(report.auroc_known > 0.5);
      most = std::max(most, report.coverage);
    }
    const auto ranked = classifier.classify_embeddings(rows);
    std::size_t accepted = 0;
    std::size_t right = 0;
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      if (!ranked[i][0].chosen) continue;
      ++accepted;
      right += ranked[i][0].index == truth[i] ? 1 : 0;
    }
    REQUIRE(accepted > 0);
    CHECK(static_cast<double>(right) / static_cast<double>(accepted) >= wanted);
    CHECK(static_cast<double>(accepted) / 400.0 == doctest::Approx(most));
  }
  CHECK(support::code_of([&] { (void)classifier.calibrate(rows, std::vector<std::size_t>(3), 0.9); }) ==
        ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)classifier.calibrate(rows, truth, 0.0); }) == ErrorCode::invalid_argument);
  std::vector<std::size_t> beyond(truth.begin(), truth.end());
  beyond.back() = classifier.labels().size();
  CHECK(support::code_of([&] { (void)classifier.calibrate(rows, beyond, 0.9); }) == ErrorCode::invalid_argument);
}

TEST_CASE("calibrating leaves out pictures that failed") {
  const Model& model = support::demo_model();
  support::Random random(52);
  Classifier classifier(model, std::vector<std::string>{"pizza", "guitar", "house"});
  Matrix rows = support::clustered_rows(random, 20, model.embed_dim(), classifier.prototypes(), 1.5f);
  std::vector<std::size_t> truth;
  for (std::size_t i = 0; i < 20; ++i) truth.push_back(i % 3);
  const auto clean = classifier.calibrate(rows, truth, 0.9);
  const auto insert_failed = [&](Eigen::Index at) {
    Matrix more(21, rows.cols());
    more << rows.topRows(at), Matrix::Constant(1, rows.cols(), std::nanf("")), rows.bottomRows(20 - at);
    std::vector<std::size_t> labels = truth;
    labels.insert(labels.begin() + at, 0);
    return classifier.calibrate(more, labels, 0.9);
  };
  for (const Eigen::Index at : {0, 10, 20}) {
    const auto found = insert_failed(at);
    REQUIRE(found.size() == clean.size());
    for (std::size_t r = 0; r < clean.size(); ++r) {
      CHECK(found[r].threshold == clean[r].threshold);
      CHECK(found[r].coverage == clean[r].coverage);
      CHECK(found[r].precision == clean[r].precision);
      CHECK(found[r].auroc_right == clean[r].auroc_right);
    }
  }
  rows.fill(std::nanf(""));
  CHECK(support::code_of([&] { (void)classifier.calibrate(rows, truth, 0.9); }) == ErrorCode::invalid_argument);
}

TEST_CASE("right and wrong answers of one score are accepted together or not at all") {
  const std::vector<float> scores = {0.9f, 0.9f};
  const auto found = detail::cut_for_precision(RejectRule::cosine, scores, {1, 0}, {1, 1}, 1.0);
  CHECK(found.coverage == 0.0);
  CHECK(found.threshold > 0.9f);
  CHECK(auroc(scores, {}) == 0.5);
}

TEST_CASE("a report's AUROCs are those of its own rule's scores; without a background there is no rule of it") {
  const Model& model = support::demo_model();
  support::Random random(52);
  const std::vector<std::string> labels = {"pizza", "guitar", "house"};
  ClassifyOptions options;
  options.background = {"something"};
  Classifier classifier(model, labels, options);
  const Matrix rows = support::clustered_rows(random, 200, model.embed_dim(), classifier.prototypes(), 3.0f);
  std::vector<std::size_t> truth;
  for (std::size_t i = 0; i < 200; ++i) truth.push_back(i % 4 == 3 ? Classifier::kUnknown : i % 4);
  const Ranking ranking = classifier.rank(rows, 1);
  const auto reports = classifier.calibrate(rows, truth, 0.9);
  REQUIRE(reports.size() == 3);
  for (const RuleReport& report : reports) {
    std::vector<float> known;
    std::vector<float> unknown;
    for (std::size_t i = 0; i < 200; ++i) {
      const float score = report.rule == RejectRule::cosine   ? ranking.cosine[i]
                          : report.rule == RejectRule::margin ? ranking.margin[i]
                                                              : ranking.cosine[i] - ranking.background[i];
      (truth[i] != Classifier::kUnknown ? known : unknown).push_back(score);
    }
    CHECK(report.auroc_known == auroc(known, unknown));
  }
  Classifier without(model, labels);
  CHECK(without.calibrate(rows, truth, 0.9).size() == 2);
  CHECK_THROWS_WITH_AS((void)without.calibrate(rows, truth, 1.5),
                       "precision: expected a share above 0, at most 1, found 1.5", Error);
  CHECK_THROWS_WITH_AS((void)without.calibrate(rows.topRows(0), std::vector<std::size_t>{}, 0.9),
                       "calibrate: expected at least one picture, found none", Error);
  options.multi_label = true;
  Classifier multi(model, labels, options);
  CHECK(support::code_of([&] { (void)multi.calibrate(rows, truth, 0.9); }) == ErrorCode::invalid_argument);
}

TEST_CASE("calibration switches the other rules off, that of the background too") {
  const Model& model = support::demo_model();
  support::Random random(53);
  ClassifyOptions options;
  options.background = {"something"};
  Classifier classifier(model, std::vector<std::string>{"pizza", "guitar"}, options);
  const Matrix nothing = classifier.prototypes().bottomRows(1);
  const Matrix rows = support::clustered_rows(random, 50, model.embed_dim(), nothing, 1.0f);
  const Ranking ranking = classifier.rank(rows, 1);
  CHECK(ranking.cosine[0] < ranking.background[0]);
  const std::vector<std::size_t> truth(ranking.index.begin(), ranking.index.end());  // every answer is right
  CHECK(classifier.calibrate(rows, truth, 1.0)[0].coverage == 1.0);
  for (const auto& found : classifier.classify_embeddings(rows)) CHECK(found[0].chosen);
}

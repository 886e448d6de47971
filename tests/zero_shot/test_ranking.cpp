// From embeddings to ranked labels: softmax, margins, the background, in whatever blocks; on the embedded model.
#include <cmath>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

const std::vector<std::string> kRanked = {"pizza", "guitar", "house", "red apple"};

}  // namespace

TEST_CASE("probabilities, order and margins are those of a softmax written out") {
  const Model& model = support::demo_model();
  support::Random random(41);
  const Matrix rows = support::unit_rows(random, 70, model.embed_dim());
  ClassifyOptions options;
  options.temperature = 2.0f;
  options.background = {"something", "an object"};
  const Classifier classifier(model, kRanked, options);
  const auto all = classifier.classify_embeddings(rows);
  REQUIRE(all.size() == 70);
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    std::vector<double> cosine;
    double sum = 0.0;
    for (Eigen::Index j = 0; j < 6; ++j) {
      cosine.push_back(support::dot(rows, i, classifier.prototypes(), j));
      sum += std::exp(double{model.logit_scale()} / 2.0 * cosine.back());
    }
    const auto& ranked = all[static_cast<std::size_t>(i)];
    REQUIRE(ranked.size() == 4);
    for (std::size_t k = 0; k < 4; ++k) {
      CHECK(ranked[k].label == kRanked[ranked[k].index]);
      CHECK(double{ranked[k].cosine} == doctest::Approx(cosine[ranked[k].index]).epsilon(1e-5));
      const double p = std::exp(double{model.logit_scale()} / 2.0 * cosine[ranked[k].index]) / sum;
      CHECK(std::fabs(double{ranked[k].probability} - p) < 1e-5);
      const float other = k == 0 ? ranked[1].cosine : ranked[0].cosine;
      CHECK(ranked[k].margin == ranked[k].cosine - other);
      if (k > 0) CHECK(ranked[k - 1].cosine >= ranked[k].cosine);
    }
  }
}

TEST_CASE("a row of NaN among many labels, all shown, ranks each of them once") {
  const Model& model = support::demo_model();
  support::Random random(47);
  constexpr Eigen::Index n = 80;  // more than are found by insertion
  Matrix rows = support::unit_rows(random, 2, n);
  for (Eigen::Index j = 0; j < n; j += 3) rows(0, j) = std::numeric_limits<float>::quiet_NaN();
  detail::BestOfRow best(n, n);
  for (Eigen::Index i = 0; i < 2; ++i) {
    best.find(*model.context().kernels, &rows(i, 0));
    std::vector<std::int32_t> found(best.indices(), best.indices() + n);
    CHECK(std::is_sorted(best.values(), best.values() + n, std::greater<>()) == (i == 1));
    std::sort(found.begin(), found.end());
    for (std::int32_t j = 0; j < n; ++j) CHECK(found[static_cast<std::size_t>(j)] == j);
  }
}

TEST_CASE("ranking many rows: the same answers whatever the number of rows, labels shown, and threads") {
  LoadOptions one;
  one.threads = 1;
  LoadOptions three;
  three.threads = 3;
  const Model serial = Model::load_demo(one);
  const Model threaded = Model::load_demo(three);
  support::Random random(42);
  const Matrix rows = support::unit_rows(random, 1100, serial.embed_dim());
  std::vector<std::string> labels;
  for (int i = 0; i < 130; ++i) labels.push_back("thing " + std::to_string(i));
  const Classifier classifier(serial, labels);
  const Ranking all = classifier.rank(rows);
  const Ranking five = Classifier(threaded, labels).rank(rows, 5);
  REQUIRE(all.top == 130);
  REQUIRE(five.top == 5);
  for (std::size_t i = 0; i < all.rows; ++i) {
    for (std::size_t k = 0; k < 5; ++k) {
      CHECK(five.index[i * 5 + k] == all.index[i * 130 + k]);
      CHECK(five.cosine[i * 5 + k] == all.cosine[i * 130 + k]);
      CHECK(five.probability[i * 5 + k] == all.probability[i * 130 + k]);
    }
  }
  const Classifier few(serial, kRanked);
  const Ranking four = few.rank(rows);
  for (const std::size_t top : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    const Ranking less = few.rank(rows, top);
    REQUIRE(less.top == top);
    for (std::size_t i = 0; i < less.rows; ++i) {
      for (std::size_t k = 0; k < top; ++k) {
        REQUIRE(less.index[i * top + k] == four.index[i * 4 + k]);
        REQUIRE(less.cosine[i * top + k] == four.cosine[i * 4 + k]);
        REQUIRE(less.margin[i * top + k] == four.margin[i * 4 + k]);
      }
    }
  }
  const Ranking alone = classifier.rank(rows.middleRows(77, 1), 1);
  CHECK(alone.index[0] == all.index[77 * 130]);
  CHECK(alone.margin[0] == all.margin[77 * 130]);
}

TEST_CASE("several labels at every temperature: the background's level is log mean exp over the scale") {
  const Model& model = support::demo_model();
  support::Random random(45);
  const Matrix rows = support::unit_rows(random, 40, model.embed_dim());
  ClassifyOptions options;
  options.multi_label = true;
  for (const int texts : {2, 30}) {  // few, and many
    options.background.clear();
    for (int i = 0; i < texts; ++i) options.background.push_back("thing " + std::to_string(i));
    for (const float temperature : {1e-2f, 1.0f, 99.0f, 101.0f, 1e4f, 1e6f, 1e12f}) {
      CAPTURE(temperature);
      options.temperature = temperature;
      const Classifier classifier(model, kRanked, options);
      const double scale = double{model.logit_scale()} / double{temperature};
      const Ranking found = classifier.rank(rows);
      for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        double greatest = -1.0;
        for (int j = 0; j < texts; ++j) {
          greatest = std::max(greatest, support::dot(rows, i, classifier.prototypes(), 4 + j));
        }
        double sum = 0.0;
        for (int j = 0; j < texts; ++j) {
          sum += std::expm1(scale * (support::dot(rows, i, classifier.prototypes(), 4 + j) - greatest));
        }
        const double level = greatest + std::log1p(sum / texts) / scale;
        // a cosine's own error, and that of the logarithm of a sum of floats near 1 over a scale of at least 1
        CHECK(std::fabs(double{found.background[static_cast<std::size_t>(i)]} - level) < 1e-6);
      }
    }
  }
}

TEST_CASE("few labels and many, with a background, for many rows that lie apart: a softmax written out") {
  LoadOptions one;
  one.threads = 1;  // a block of rows is then longer than a step of 64
  const Model model = Model::load_demo(one);
  const Eigen::Index width = model.embed_dim();
  support::Random random(44);
  Matrix apart = Matrix::Ones(600, width + 5);
  apart.leftCols(width) = support::unit_rows(random, 600, width);
  ClassifyOptions options;
  options.background = {"something", "an object"};
  for (const int count : {3, 40}) {
    CAPTURE(count);
    std::vector<std::string> labels;
    for (int i = 0; i < count; ++i) labels.push_back("thing " + std::to_string(i));
    const Classifier classifier(model, labels, options);
    const Ranking ranking = classifier.rank(apart.leftCols(width), 1);
    for (Eigen::Index i = 0; i < 600; ++i) {
      double best = -2.0;
      double background = -2.0;
      double sum = 0.0;
      for (Eigen::Index j = 0; j < count + 2; ++j) {
        double cosine = 0.0;
        for (Eigen::Index k = 0; k < width; ++k) cosine += double{apart(i, k)} * double{classifier.prototypes()(j, k)};
        (j < count ? best : background) = std::max(j < count ? best : background, cosine);
        sum += std::exp(double{model.logit_scale()} * cosine);
      }
      const auto at = static_cast<std::size_t>(i);
      REQUIRE(double{ranking.cosine[at]} == doctest::Approx(best).epsilon(1e-5));
      REQUIRE(double{ranking.background[at]} == doctest::Approx(background).epsilon(1e-5));
      REQUIRE(std::fabs(double{ranking.probability[at]} - std::exp(double{model.logit_scale()} * best) / sum) < 1e-5);
    }
  }
}

TEST_CASE("of equal labels the first is best, however many are shown; a lone label's margin; more than there are") {
  const Model& model = support::demo_model();
  support::Random random(45);
  const Matrix rows = support::unit_rows(random, 3, model.embed_dim());
  const Ranking equal = Classifier(model, std::vector<std::string>(130, "cat")).rank(rows, 100);
  for (std::size_t k = 0; k < 100; ++k) CHECK(equal.index[k] == static_cast<std::int32_t>(k));
  const Ranking alone = Classifier(model, {"cat"}).rank(rows);
  CHECK(alone.margin[1] == alone.cosine[1] + 1.0f);
  CHECK(Classifier(model, {"cat", "dog"}).classify_embeddings(rows, 9)[2].size() == 2);
}

// InfoNCE in blocks against the loss written out, its gradients against differences.  PyTorch's autograd is in
// tests/parity.
#include <cmath>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

TEST_CASE("the loss in blocks is the loss of the whole matrix") {
  const Model& model = support::demo_model();
  support::Random random(61);
  for (const Eigen::Index n : {1, 2, 130, 700}) {
    const Matrix images = support::unit_rows(random, n, 192);
    const Matrix texts = support::unit_rows(random, n, 192);
    Matrix whole = similarity(model, images, texts);
    for (float* x = whole.data(); x != whole.data() + whole.size(); ++x) *x *= 30.0f;
    // both are sums of float cosines of 192 terms (1e-6 each), times 30
    CHECK(std::fabs(contrastive_loss(model, images, texts, 30.0f) - contrastive_loss(whole)) < 3e-5);
  }
}

TEST_CASE("a small loss is not the rounding of two cosines") {
  const Model& model = support::demo_model();
  support::Random random(63);
  for (int batch = 0; batch < 50; ++batch) {
    const Matrix one = support::unit_rows(random, 1, 192);
    const Matrix other = support::clustered_rows(random, 1, 192, one, 0.1f);
    CHECK(contrastive_loss(model, one, other, 100.0f) == 0.0);  // one pair: nothing to confuse it with
    CHECK(contrastive_gradients(model, one, other, 100.0f).loss == 0.0);
  }
  const Matrix images = support::unit_rows(random, 64, 192);
  double expected = 0.0;  // with every text its picture: log(1 + sum exp(100 (cosine - 1)))
  for (Eigen::Index i = 0; i < 64; ++i) {
    double others = 0.0;
    for (Eigen::Index j = 0; j < 64; ++j) {
      const double away = support::dot(images, i, images, j) - support::dot(images, i, images, i);
      others += j == i ? 0.0 : std::exp(100.0 * away);
    }
    expected += std::log1p(others) / 64.0;
  }
  REQUIRE(expected < 1e-6);
  // 1 + others is summed in float: 2^-24 a row, and half of that on average
  CHECK(std::fabs(contrastive_loss(model, images, images, 100.0f) - expected) < 0x1p-24);
}

TEST_CASE("gradients are the loss's slopes") {
  const Model& model = support::demo_model();
  support::Random random(62);
  const Matrix images = support::unit_rows(random, 9, 16);
  const Matrix texts = support::unit_rows(random, 9, 16);
  const float scale = 10.0f;
  const auto found = contrastive_gradients(model, images, texts, scale);
  // the loss in double, written out
  const auto loss = [](const Matrix& a, const Matrix& b, double s) {
    double sum = 0.0;
    for (Eigen::Index i = 0; i < a.rows(); ++i) {
      double row = 0.0;
      double column = 0.0;
      for (Eigen::Index j = 0; j < a.rows(); ++j) {
        row += std::exp(s * support::dot(a, i, b, j));
        column += std::exp(s * support::dot(a, j, b, i));
      }
      sum += std::log(row) + std::log(column) - 2.0 * s * support::dot(a, i, b, i);
    }
    return sum / (2.0 * static_cast<double>(a.rows()));
  };
  CHECK(found.loss == doctest::Approx(loss(images, texts, 10.0)).epsilon(1e-5));
  const float step = 1.0f / 1024.0f;  // exact in float; the third derivative leaves about 1e-4 of the slope
  for (Eigen::Index i = 0; i < 9; i += 4) {
    for (Eigen::Index k = 0; k < 16; k += 5) {
      Matrix up = images;
      Matrix down = images;
      up(i, k) += step;
      down(i, k) -= step;
      const double width = double{up(i, k)} - double{down(i, k)};
      CHECK(double{found.images(i, k)} ==
            doctest::Approx((loss(up, texts, 10.0) - loss(down, texts, 10.0)) / width).epsilon(1e-3));
      up = down = texts;
      up(i, k) += step;
      down(i, k) -= step;
      const double text_width = double{up(i, k)} - double{down(i, k)};
      CHECK(double{found.texts(i, k)} ==
            doctest::Approx((loss(images, up, 10.0) - loss(images, down, 10.0)) / text_width).epsilon(1e-3));
    }
  }
  CHECK(found.logit_scale ==
        doctest::Approx((loss(images, texts, 10.001) - loss(images, texts, 9.999)) / 0.002).epsilon(1e-4));
}

TEST_CASE("pairs that are none are refused") {
  const Model& model = support::demo_model();
  const Matrix two = Matrix::Ones(2, 4);
  const Matrix three = Matrix::Ones(3, 4);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, two, three, 1.0f); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, three, two, 1.0f); }) == ErrorCode::invalid_argument);
  for (const float scale : {0.0f, -1.0f, 9e-31f, std::nanf("")}) {
    CHECK(support::code_of([&] { (void)contrastive_gradients(model, two, two, scale); }) ==
          ErrorCode::invalid_argument);
  }
  CHECK(support::code_of([&] { (void)contrastive_loss(two.leftCols(1)); }) == ErrorCode::invalid_argument);
}

TEST_CASE("the smallest scale: a loss of log(n), and slopes that are finite") {
  const Model& model = support::demo_model();
  support::Random random(64);
  const Matrix images = support::unit_rows(random, 5, 16);
  const Matrix texts = support::unit_rows(random, 5, 16);
  const auto found = contrastive_gradients(model, images, texts, 1e-30f);
  CHECK(found.loss == doctest::Approx(std::log(5.0)));
  CHECK(found.images.allFinite());
  double expected = 0.0;  // by the scale: the mean over all cosines less that over the pairs'
  for (Eigen::Index i = 0; i < 5; ++i) {
    for (Eigen::Index j = 0; j < 5; ++j)
      expected += support::dot(images, i, texts, j) * (1.0 / 25.0 - (i == j ? 1.0 / 5.0 : 0.0));
  }
  CHECK(found.logit_scale == doctest::Approx(expected).epsilon(1e-4));
}

TEST_CASE("gradients beyond the first block of pairs, as sums of the softmaxes written out") {
  const Model& model = support::demo_model();
  support::Random random(63);
  const Eigen::Index n = 1300;
  const Matrix images = support::unit_rows(random, n, 8);
  const Matrix texts = support::unit_rows(random, n, 8);
  const auto found = contrastive_gradients(model, images, texts, 10.0f);
  std::vector<double> by_text(static_cast<std::size_t>(n));
  for (Eigen::Index j = 0; j < n; ++j) {
    for (Eigen::Index i = 0; i < n; ++i)
      by_text[static_cast<std::size_t>(j)] += std::exp(10.0 * support::dot(images, i, texts, j));
  }
  for (const Eigen::Index i : {Eigen::Index{0}, n - 1}) {
    double by_image = 0.0;
    for (Eigen::Index j = 0; j < n; ++j) by_image += std::exp(10.0 * support::dot(images, i, texts, j));
    for (Eigen::Index k = 0; k < 8; ++k) {
      double expected = -2.0 * double{texts(i, k)};
      for (Eigen::Index j = 0; j < n; ++j) {
        const double e = std::exp(10.0 * support::dot(images, i, texts, j));
        expected += (e / by_image + e / by_text[static_cast<std::size_t>(j)]) * double{texts(j, k)};
      }
      expected *= 10.0 / (2.0 * static_cast<double>(n));
      CHECK(std::fabs(double{found.images(i, k)} - expected) < 1e-6);
    }
  }
}

TEST_CASE("large logits do not overflow; no pairs, and pairs of two widths, are refused; nothing is like nothing") {
  const Model& model = support::demo_model();
  const Matrix large = 1000.0f * Matrix::Identity(3, 3);
  CHECK(contrastive_loss(large) == doctest::Approx(0.0));
  for (const float same : {0.0f, 1e16f, -1e17f, 3e38f}) {
    CHECK(contrastive_loss(Matrix::Constant(3, 3, same)) == doctest::Approx(std::log(3.0)));
  }
  float numbers[2] = {1000.0f, 999.0f};
  softmax(numbers, 2);
  CHECK(double{numbers[0]} == doctest::Approx(1.0 / (1.0 + std::exp(-1.0))));
  CHECK(support::code_of([&] { (void)contrastive_loss(Matrix(0, 0)); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, Matrix(0, 4), Matrix(0, 4), 1.0f); }) ==
        ErrorCode::invalid_argument);
  const Matrix narrow = Matrix::Ones(2, 4);
  const Matrix wide = Matrix::Ones(2, 8);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, narrow, wide, 1.0f); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, wide, narrow, 1.0f); }) == ErrorCode::invalid_argument);
  const Matrix none(2, 0);
  CHECK(support::code_of([&] { (void)contrastive_loss(model, none, none, 1.0f); }) == ErrorCode::invalid_argument);
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(support::code_of([&] { (void)contrastive_loss(model, wide, wide, infinity); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)contrastive_gradients(model, none, none, 1.0f); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)similarity(model, none, none); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)logits(model, none, none); }) == ErrorCode::invalid_argument);
  const std::size_t pairs[] = {0, 1};
  CHECK(support::code_of([&] { (void)recall_at(model, none, none, pairs, pairs); }) == ErrorCode::invalid_argument);
}

template <class M>
concept HasSimilarities = requires(const Model& model, const M& m) {
  similarity(model, m, m);
  logits(model, m, m);
};

TEST_CASE("the cosine of two embeddings; as matrices of one column they are refused") {
  static_assert(HasSimilarities<Matrix> && !HasSimilarities<Vector>);
  support::Random random(96);
  const Matrix rows = support::unit_rows(random, 2, 192);
  Vector a(192);
  Vector b(192);
  std::copy_n(rows.data(), 192, a.data());
  std::copy_n(rows.data() + 192, 192, b.data());
  CHECK(std::fabs(double{similarity(a, b)} - support::dot(rows, 0, rows, 1)) < 0x1p-24);
  CHECK(similarity(a, a) == doctest::Approx(1.0));
  const Vector narrow(5);
  CHECK(support::code_of([&] { (void)similarity(a, narrow); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([] { (void)similarity(Vector(), Vector()); }) == ErrorCode::invalid_argument);
}

TEST_CASE("cosines of rows that lie apart, and of none") {
  const Model& model = support::demo_model();
  support::Random random(64);
  const Matrix images = support::unit_rows(random, 5, 16);
  const Matrix texts = support::unit_rows(random, 4, 16);
  Matrix images_apart = Matrix::Ones(5, 21);
  Matrix texts_apart = Matrix::Ones(4, 23);
  images_apart.leftCols(16) = images;
  texts_apart.leftCols(16) = texts;
  const Matrix expected = similarity(model, images, texts);
  CHECK(similarity(model, images_apart.leftCols(16), texts_apart.leftCols(16)) == expected);
  CHECK(std::fabs(double{expected(4, 3)} - support::dot(images, 4, texts, 3)) < 1e-6);
  CHECK(similarity(model, images.topRows(0), texts).rows() == 0);
}

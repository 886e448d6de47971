// Recall@k with several texts a picture, against ranks counted by hand.
#include <limits>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

TEST_CASE("recall both ways, by counting") {
  const Model& model = support::demo_model();
  support::Random random(71);
  const Matrix images = support::unit_rows(random, 40, 24);
  const Matrix texts = support::clustered_rows(random, 90, 24, images, 2.0f);  // text j describes picture j % 40
  std::vector<std::size_t> owner;
  for (std::size_t j = 0; j < 90; ++j) owner.push_back(j % 40);
  const std::vector<std::size_t> ks = {1, 5, 40};
  const Recall found = recall_at(model, images, texts, owner, ks);
  const Matrix cosines = similarity(model, images, texts);
  for (std::size_t at = 0; at < ks.size(); ++at) {
    int image_hits = 0;
    for (Eigen::Index i = 0; i < 40; ++i) {
      bool hit = false;
      for (Eigen::Index j = i; j < 90; j += 40) {
        int nearer = 0;
        for (Eigen::Index other = 0; other < 90; ++other) nearer += cosines(i, other) > cosines(i, j) ? 1 : 0;
        hit = hit || nearer < static_cast<int>(ks[at]);
      }
      image_hits += hit ? 1 : 0;
    }
    int text_hits = 0;
    for (Eigen::Index j = 0; j < 90; ++j) {
      int nearer = 0;
      for (Eigen::Index i = 0; i < 40; ++i) nearer += cosines(i, j) > cosines(j % 40, j) ? 1 : 0;
      text_hits += nearer < static_cast<int>(ks[at]) ? 1 : 0;
    }
    CHECK(found.image_to_text[at] == doctest::Approx(image_hits / 40.0));
    CHECK(found.text_to_image[at] == doctest::Approx(text_hits / 90.0));
  }
  CHECK(found.text_to_image[0] > 0.1);
  CHECK(found.text_to_image[0] < 1.0);
  CHECK(found.text_to_image[2] == 1.0);
  owner[3] = 40;
  CHECK(support::code_of([&] { (void)recall_at(model, images, texts, owner, ks); }) == ErrorCode::invalid_argument);
}

TEST_CASE("recall: who failed and who has no partner is never found") {
  const Model& model = support::demo_model();
  support::Random random(72);
  Matrix images = support::unit_rows(random, 3, 24);
  const std::vector<std::size_t> ks = {1, 3, 4, std::numeric_limits<std::size_t>::max()};
  const std::vector<double> all(4, 1.0);
  const std::vector<double> none(4, 0.0);
  const std::vector<double> third(4, 1.0 / 3.0);
  CHECK(recall_at(model, images, images, std::vector<std::size_t>{0, 1, 2}, ks).text_to_image == all);
  CHECK(recall_at(model, images, images.topRows(1), std::vector<std::size_t>{0}, ks).image_to_text == third);
  CHECK(recall_at(model, images, images.topRows(0), std::vector<std::size_t>{}, ks).image_to_text == none);
  const Matrix texts = images;
  images.row(2).fill(std::nanf(""));
  const Recall found = recall_at(model, images, texts, std::vector<std::size_t>{2, 2, 2}, ks);
  CHECK(found.image_to_text == none);
  CHECK(found.text_to_image == none);
}

TEST_CASE("recall: of equal texts the first is nearer; a picture without a text is never found; nothing to look for") {
  const Model& model = support::demo_model();
  const Matrix images = Matrix::Identity(3, 3);
  Matrix texts = Matrix::Zero(3, 3);
  texts(0, 0) = texts(1, 0) = texts(2, 1) = 1.0f;  // texts 0 and 1 are equal
  const std::vector<std::size_t> ks = {1, 2, 3};
  const std::vector<std::size_t> owner = {1, 0, 1};  // picture 0's text is the second of the equal ones; 2 has none
  const Recall found = recall_at(model, images, texts, owner, ks);
  CHECK(found.image_to_text[0] == doctest::Approx(1.0 / 3.0));
  CHECK(found.image_to_text[1] == doctest::Approx(2.0 / 3.0));
  CHECK(found.image_to_text[2] == doctest::Approx(2.0 / 3.0));
  const Recall both = recall_at(model, images, texts, std::vector<std::size_t>{0, 0, 1}, ks);
  CHECK(both.image_to_text[0] == doctest::Approx(2.0 / 3.0));  // the first of two equal texts that are both its own
  for (const std::vector<std::size_t>& wrong : {std::vector<std::size_t>{1, 0}, {1, 0, 1, 0}}) {
    CHECK(support::code_of([&] { (void)recall_at(model, images, texts, wrong, ks); }) == ErrorCode::invalid_argument);
  }
  CHECK(recall_at(model, images, texts.topRows(0), {}, ks).text_to_image[0] == 0.0);
}

TEST_CASE("recall beyond the first block of rows") {
  const Model& model = support::demo_model();
  const std::size_t n = 1100;
  const auto rows = static_cast<Eigen::Index>(n);
  Matrix corners = Matrix::Zero(rows, 11);  // row i is a corner of its own: the bits of i
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index k = 0; k < 11; ++k) corners(i, k) = (i >> k & 1) == 1 ? 1.0f : -1.0f;
  }
  std::vector<std::size_t> owner;
  for (std::size_t i = 0; i < n; ++i) owner.push_back(i);
  const Recall found = recall_at(model, corners, corners, owner, std::vector<std::size_t>{1});
  CHECK(found.image_to_text[0] == 1.0);
  CHECK(found.text_to_image[0] == 1.0);
}

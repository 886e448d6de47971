// Embeddings: made-up ones, and those of the sample pictures.
#pragma once

#include <cmath>

#include "support.hpp"

namespace support {

/// n random unit rows.
inline clipon::Matrix unit_rows(Random& random, Eigen::Index n, Eigen::Index width) {
  clipon::Matrix rows(n, width);
  for (Eigen::Index i = 0; i < n; ++i) {
    double sum = 0.0;
    for (Eigen::Index k = 0; k < width; ++k) {
      rows(i, k) = random.normal();
      sum += double{rows(i, k)} * double{rows(i, k)};
    }
    for (Eigen::Index k = 0; k < width; ++k) rows(i, k) = static_cast<float>(double{rows(i, k)} / std::sqrt(sum));
  }
  return rows;
}

/// Unit rows around `classes` centres, class i % classes; spread: length of the noise beside a centre's 1.
inline clipon::Matrix clustered_rows(Random& random, Eigen::Index n, Eigen::Index width, const clipon::Matrix& centres,
                                     float spread) {
  clipon::Matrix rows = unit_rows(random, n, width);
  for (Eigen::Index i = 0; i < n; ++i) {
    double sum = 0.0;
    for (Eigen::Index k = 0; k < width; ++k) {
      rows(i, k) = centres(i % centres.rows(), k) + spread * rows(i, k);
      sum += double{rows(i, k)} * double{rows(i, k)};
    }
    for (Eigen::Index k = 0; k < width; ++k) rows(i, k) = static_cast<float>(double{rows(i, k)} / std::sqrt(sum));
  }
  return rows;
}

/// [1, d] of models/samples/NAME.png by the demo model.
inline clipon::Matrix sample_embedding(const std::string& name) {
  const auto image = clipon::Image::read(source_path("models/samples/" + name + ".png"));
  return demo_model().embed_images(std::vector<clipon::Image>{image});
}

inline double dot(const clipon::Matrix& a, Eigen::Index i, const clipon::Matrix& b, Eigen::Index j) {
  double sum = 0.0;
  for (Eigen::Index k = 0; k < a.cols(); ++k) sum += double{a(i, k)} * double{b(j, k)};
  return sum;
}

}  // namespace support

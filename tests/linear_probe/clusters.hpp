// Embeddings around a centre for each of three classes, to learn from.
#pragma once

#include <string>
#include <vector>

#include "embeddings.hpp"
#include "support.hpp"

namespace support {

inline const std::vector<std::string> kProbeLabels = {"pizza", "guitar", "house"};

struct ProbeData {
  clipon::Matrix rows;
  std::vector<std::size_t> classes;
};

/// n rows, of the classes in turn; the centres are always the same.
inline ProbeData probe_data(unsigned seed, Eigen::Index n, float spread) {
  Random random(seed);
  Random centre_random(7);
  const clipon::Matrix centres = unit_rows(centre_random, 3, demo_model().embed_dim());
  ProbeData data;
  data.rows = clustered_rows(random, n, centres.cols(), centres, spread);
  for (Eigen::Index i = 0; i < n; ++i) data.classes.push_back(static_cast<std::size_t>(i % 3));
  return data;
}

}  // namespace support

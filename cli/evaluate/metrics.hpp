// How well pictures were classified: what each got, and what that adds up to.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "evaluate/dataset.hpp"

namespace cli {

/// What one picture got.
struct Outcome {
  bool ok = false;  // false: it could not be read
  std::size_t predicted = 0;
  std::size_t rank = 0;      // of the true label among all, 0: the best
  float confidence = 0.0f;   // the softmax probability of the predicted label
  float cosine = 0.0f;       // of the predicted label
  float true_cosine = 0.0f;  // of the true label
};

/// Outcomes of unit embeddings [n, d] with prototypes [labels, d]; of equal cosines the lower label is ranked first.
/// A row of NaN (a picture that failed) is not ok.
std::vector<Outcome> classify(const clipon::Model& model, const clipon::Matrix& embeddings,
                              const clipon::Matrix& prototypes, const std::vector<std::size_t>& truth);

struct Accuracy {
  std::size_t pictures = 0;
  std::size_t top1 = 0;
  std::size_t top5 = 0;

  void add(const Outcome& outcome);
  /// NaN of no pictures, which JSON has as null and tables as a dash.
  [[nodiscard]] double share1() const { return share(top1); }
  [[nodiscard]] double share5() const { return share(top5); }

 private:
  [[nodiscard]] double share(std::size_t n) const {
    if (pictures == 0) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(n) / static_cast<double>(pictures);
  }
};

/// Pictures whose confidence is in one of equal parts of 0..1.
struct CalibrationBin {
  std::size_t pictures = 0;
  double confidence = 0.0;  // mean; NaN of no pictures, as the next
  double accuracy = 0.0;
};
constexpr std::size_t kCalibrationBins = 15;  // Guo et al. 2017, On calibration of modern neural networks

/// One cell of the confusion matrix.
struct Confusion {
  std::size_t label = 0;
  std::size_t predicted = 0;
  std::size_t pictures = 0;
  double confidence = 0.0;  // sum over the pictures
};

struct Metrics {
  Accuracy all;
  std::size_t failed = 0;
  double mean_per_class = 0.0;  // of the classes that have pictures
  double calibration_error = 0.0;
  std::vector<CalibrationBin> bins;
  std::vector<Accuracy> classes;                                       // [labels]
  std::vector<Accuracy> groups;                                        // [groups]
  std::vector<std::vector<std::size_t>> predicted;                     // [groups][labels]: how often predicted
  std::map<std::pair<std::size_t, std::size_t>, Confusion> confusion;  // (label, predicted)
};

Metrics measure(const Dataset& data, const std::vector<Outcome>& outcomes);

/// Cells off the diagonal: most pictures first, of equal ones the most confident.
std::vector<Confusion> most_confused(const Metrics& metrics, std::size_t n);

}  // namespace cli

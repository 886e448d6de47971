#include "evaluate/metrics.hpp"

#include <algorithm>
#include <cmath>

namespace cli {

std::vector<Outcome> classify(const clipon::Model& model, const clipon::Matrix& embeddings,
                              const clipon::Matrix& prototypes, const std::vector<std::size_t>& truth) {
  std::vector<Outcome> outcomes(truth.size());
  constexpr std::size_t portion = 1024;  // cosines of all pictures with all labels need not be in memory at once
  for (std::size_t first = 0; first < truth.size(); first += portion) {
    const std::size_t n = std::min(portion, truth.size() - first);
    const auto rows = embeddings.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(n));
    const clipon::Matrix cosines = clipon::similarity(model, rows, prototypes);
    for (std::size_t i = 0; i < n; ++i) {
      const float* c = &cosines(static_cast<Eigen::Index>(i), 0);
      const auto labels = static_cast<std::size_t>(cosines.cols());
      Outcome& outcome = outcomes[first + i];
      const std::size_t own = truth[first + i];
      outcome.ok = !std::isnan(c[own]);
      if (!outcome.ok) continue;
      outcome.predicted = static_cast<std::size_t>(std::max_element(c, c + labels) - c);
      outcome.cosine = c[outcome.predicted];
      outcome.true_cosine = c[own];
      double sum = 0.0;
      for (std::size_t label = 0; label < labels; ++label) {
        outcome.rank += c[label] > c[own] || (c[label] == c[own] && label < own) ? 1 : 0;
        sum += std::exp(double{model.logit_scale()} * (double{c[label]} - double{outcome.cosine}));
      }
      outcome.confidence = static_cast<float>(1.0 / sum);
    }
  }
  return outcomes;
}

void Accuracy::add(const Outcome& outcome) {
  ++pictures;
  top1 += outcome.rank < 1 ? 1 : 0;
  top5 += outcome.rank < 5 ? 1 : 0;
}

Metrics measure(const Dataset& data, const std::vector<Outcome>& outcomes) {
  Metrics m;
  m.bins.resize(kCalibrationBins);
  m.classes.resize(data.labels.size());
  m.groups.resize(data.groups.size());
  m.predicted.assign(data.groups.size(), std::vector<std::size_t>(data.labels.size()));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    const Item& item = data.items[i];
    if (!outcome.ok) {
      ++m.failed;
      continue;
    }
    m.all.add(outcome);
    m.classes[item.label].add(outcome);
    m.groups[item.group].add(outcome);
    ++m.predicted[item.group][outcome.predicted];
    Confusion& cell = m.confusion[{item.label, outcome.predicted}];
    cell = {item.label, outcome.predicted, cell.pictures + 1, cell.confidence + double{outcome.confidence}};
    const auto bin = static_cast<std::size_t>(outcome.confidence * static_cast<float>(kCalibrationBins));
    CalibrationBin& b = m.bins[std::min(bin, kCalibrationBins - 1)];
    ++b.pictures;
    b.confidence += double{outcome.confidence};
    b.accuracy += outcome.rank == 0 ? 1.0 : 0.0;
  }
  for (CalibrationBin& b : m.bins) {
    if (b.pictures > 0)
      m.calibration_error += std::fabs(b.confidence - b.accuracy) / static_cast<double>(m.all.pictures);
    b.confidence /= static_cast<double>(b.pictures);
    b.accuracy /= static_cast<double>(b.pictures);
  }
  std::size_t present = 0;
  for (const Accuracy& a : m.classes) {
    if (a.pictures == 0) continue;
    ++present;
    m.mean_per_class += a.share1();
  }
  if (present > 0) m.mean_per_class /= static_cast<double>(present);
  return m;
}

std::vector<Confusion> most_confused(const Metrics& metrics, std::size_t n) {
  std::vector<Confusion> cells;
  for (const auto& [pair, cell] : metrics.confusion) {
    if (cell.label != cell.predicted) cells.push_back(cell);
  }
  std::stable_sort(cells.begin(), cells.end(), [](const Confusion& a, const Confusion& b) {
    return a.pictures != b.pictures ? a.pictures > b.pictures : a.confidence > b.confidence;
  });
  if (cells.size() > n) cells.resize(n);
  return cells;
}

}  // namespace cli

#include "probe/labelled.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "evaluate/pictures.hpp"
#include "outputs.hpp"

namespace cli {

Dataset read_labelled(const std::string& path) {
  DatasetOptions options;
  options.paths = {path};
  return open_dataset(options);
}

std::vector<std::size_t> classes_among(const Dataset& data, const std::vector<std::string>& labels) {
  std::vector<std::size_t> classes;
  for (const Item& item : data.items) {
    const auto found = std::find(labels.begin(), labels.end(), data.labels[item.label]);
    classes.push_back(found == labels.end() ? clipon::Classifier::kUnknown
                                            : static_cast<std::size_t>(found - labels.begin()));
  }
  return classes;
}

std::vector<std::size_t> known_classes(const Dataset& data, const std::string& path, const Dataset& known,
                                       const std::string& known_path) {
  auto classes = classes_among(data, known.labels);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] != clipon::Classifier::kUnknown) continue;
    std::string message = path;
    message.append(": label '").append(data.labels[data.items[i].label]).append("': expected one of ");
    throw UsageError(message.append(known_path).append("'s"));
  }
  return classes;
}

Examples Examples::part(const std::vector<std::size_t>& indices) const {
  Examples out;
  out.rows.resize(static_cast<Eigen::Index>(indices.size()), rows.cols());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    out.rows.row(static_cast<Eigen::Index>(i)) = rows.row(static_cast<Eigen::Index>(indices[i]));
    out.classes.push_back(classes[indices[i]]);
    out.names.push_back(names[indices[i]]);
  }
  return out;
}

Examples embed_examples(const clipon::Model& model, const Settings& settings, const Dataset& data,
                        const std::string& path, const std::vector<std::size_t>& classes) {
  const EmbeddedItems embedded = embed_items(model, settings, data.items);
  Examples all;
  all.rows = embedded.rows;
  all.classes = classes;
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < data.items.size(); ++i) {
    all.names.push_back(data.items[i].name);
    if (embedded.status[i].ok) good.push_back(i);
  }
  const std::size_t failed = report_failures(all.names, embedded.status);
  if (good.empty()) {
    throw UsageError(path + ": expected pictures, found none of " + std::to_string(failed) + " that could be read");
  }
  if (failed > 0) all = all.part(good);
  all.failed = failed;
  return all;
}

namespace {

// Rounded up, but not where only the doubles are above a whole number: 100 * 0.07 is 7.000000000000001.  Fraction and
// product are each off by half an epsilon at most.
std::size_t share_of(std::size_t count, double fraction) {
  constexpr double less = 1.0 - 4.0 * std::numeric_limits<double>::epsilon();
  return static_cast<std::size_t>(std::ceil(static_cast<double>(count) * fraction * less));
}

}  // namespace

Split hold_out(const std::vector<std::size_t>& classes, std::size_t class_count, double fraction, std::uint64_t seed) {
  Split split;
  const auto shuffled = clipon::choose_shots(classes, class_count, classes.size(), seed);  // class after class
  for (std::size_t first = 0; first < shuffled.size();) {
    std::size_t last = first;
    while (last < shuffled.size() && classes[shuffled[last]] == classes[shuffled[first]]) ++last;
    const auto wanted = std::min(last - first - 1, share_of(last - first, fraction));
    const auto middle = shuffled.begin() + static_cast<std::ptrdiff_t>(first + wanted);
    split.held.insert(split.held.end(), shuffled.begin() + static_cast<std::ptrdiff_t>(first), middle);
    split.kept.insert(split.kept.end(), middle, shuffled.begin() + static_cast<std::ptrdiff_t>(last));
    first = last;
  }
  return split;
}

}  // namespace cli

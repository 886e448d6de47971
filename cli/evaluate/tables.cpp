// The table, JSON and CSV forms of an evaluation.
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "evaluate/csv.hpp"
#include "evaluate/evaluation.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

using nlohmann::ordered_json;

constexpr std::size_t kConfusedPairs = 50;  // in JSON; the whole matrix is what --confusion writes

double percent(double share) {
  return 100.0 * share;
}

ordered_json accuracy_json(const Accuracy& a) {
  return {{"pictures", a.pictures}, {"top1", a.share1()}, {"top5", a.share5()}};
}

void print_accuracy(const std::string& name, const Accuracy& a) {
  char shares[2][16] = {"     -", "     -"};
  if (a.pictures > 0) {
    std::snprintf(shares[0], sizeof shares[0], "%6.2f", percent(a.share1()));
    std::snprintf(shares[1], sizeof shares[1], "%6.2f", percent(a.share5()));
  }
  std::printf("  %s %6zu %s  top-1 %s %%  top-5 %s %%", padded(printable(name), 40).c_str(), a.pictures,
              a.pictures == 1 ? "picture " : "pictures", shares[0], shares[1]);
}

}  // namespace

std::vector<std::pair<std::size_t, double>> label_rates(const Evaluation& e, std::size_t group, std::size_t n) {
  const auto& counts = e.metrics.predicted[group];
  std::vector<std::size_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  std::vector<std::pair<std::size_t, double>> rates;
  const auto all = static_cast<double>(std::max<std::size_t>(e.metrics.groups[group].pictures, 1));
  for (std::size_t i = 0; i < std::min(n, order.size()) && counts[order[i]] > 0; ++i) {
    rates.emplace_back(order[i], static_cast<double>(counts[order[i]]) / all);
  }
  return rates;
}

void print_table(const clipon::Model& model, const Evaluation& e) {
  const Metrics& m = e.metrics;
  std::printf("%s: %s, %s, %s; %s, %s on %s\n", printable(e.source).c_str(),
              counted(m.all.pictures, "picture", "pictures").c_str(),
              counted(e.data.labels.size(), "label", "labels").c_str(),
              counted(e.templates.size(), "template", "templates").c_str(), printable(model.info().name).c_str(),
              to_string(model.precision()), to_string(model.isa()));
  std::printf("top-1 %.2f %%, top-5 %.2f %%, mean per class %.2f %%, calibration error %.3f; %.1f pictures/s\n",
              percent(m.all.share1()), percent(m.all.share5()), percent(m.mean_per_class), m.calibration_error,
              e.pictures_per_second());
  const auto confused = most_confused(m, 5);
  if (!confused.empty()) std::printf("most confused\n");
  for (const Confusion& c : confused) {
    std::printf("  %4zu  %s -> %s\n", c.pictures, printable(e.data.labels[c.label]).c_str(),
                printable(e.data.labels[c.predicted]).c_str());
  }
  if (e.by_group) std::printf("groups, and the labels that they get most\n");
  for (std::size_t g = 0; e.by_group && g < e.data.groups.size(); ++g) {
    print_accuracy(e.data.groups[g], m.groups[g]);
    for (const auto& [label, rate] : label_rates(e, g, 3)) {
      std::printf("  %s %.1f %%", printable(e.data.labels[label]).c_str(), percent(rate));
    }
    std::printf("\n");
  }
  if (!e.template_scores.empty()) std::printf("templates\n");
  for (const TemplateScore& t : e.template_scores) {
    print_accuracy(t.text.empty() ? "(all together)" : t.text, t.accuracy);
    std::printf("\n");
  }
  if (!e.shifts.empty())
    std::printf("top-1 of pictures made worse, strengths 1 to 5 (as they are: %.2f %%)\n", percent(m.all.share1()));
  for (const ShiftScore& s : e.shifts) {
    std::printf("  %-10s", s.kind.c_str());
    for (const Accuracy& a : s.strengths) std::printf(" %6.2f %%", percent(a.share1()));
    std::printf("\n");
  }
}

ordered_json to_json(const clipon::Model& model, const Evaluation& e) {
  const Metrics& m = e.metrics;
  ordered_json out = {{"model", model.info().name},
                      {"precision", to_string(model.precision())},
                      {"isa", to_string(model.isa())},
                      {"data", e.source},
                      {"pictures", m.all.pictures},
                      {"failed", m.failed},
                      {"labels", e.data.labels.size()},
                      {"templates", e.templates},
                      {"top1", m.all.share1()},
                      {"top5", m.all.share5()},
                      {"mean_per_class", m.mean_per_class},
                      {"calibration_error", m.calibration_error},
                      {"pictures_per_second", e.pictures_per_second()}};
  out["calibration"] = ordered_json::array();
  for (const CalibrationBin& b : m.bins) {
    out["calibration"].push_back({{"pictures", b.pictures}, {"confidence", b.confidence}, {"accuracy", b.accuracy}});
  }
  out["classes"] = ordered_json::array();
  for (std::size_t i = 0; i < m.classes.size(); ++i) {
    ordered_json entry = {{"label", e.data.labels[i]}};
    entry.update(accuracy_json(m.classes[i]));
    out["classes"].push_back(entry);
  }
  out["most_confused"] = ordered_json::array();
  for (const Confusion& c : most_confused(m, kConfusedPairs)) {
    out["most_confused"].push_back(
        {{"label", e.data.labels[c.label]}, {"predicted", e.data.labels[c.predicted]}, {"pictures", c.pictures}});
  }
  for (std::size_t g = 0; e.by_group && g < e.data.groups.size(); ++g) {
    ordered_json entry = {{"group", e.data.groups[g]}};
    entry.update(accuracy_json(m.groups[g]));
    for (const auto& [label, rate] : label_rates(e, g, e.data.labels.size())) {
      entry["label_rates"][e.data.labels[label]] = rate;
    }
    out["groups"].push_back(entry);
  }
  for (const TemplateScore& t : e.template_scores) {
    ordered_json entry = {{"template", t.text}};
    entry.update(accuracy_json(t.accuracy));
    out["compared_templates"].push_back(entry);
  }
  for (const ShiftScore& s : e.shifts) {
    for (const Accuracy& a : s.strengths) out["shift"][s.kind].push_back(accuracy_json(a));
  }
  return out;
}

std::string predictions_csv(const Evaluation& e) {
  std::string out = "path,label,group,predicted,confidence,rank,cosine,true_cosine\n";
  for (std::size_t i = 0; i < e.outcomes.size(); ++i) {
    const Item& item = e.data.items[i];
    const Outcome& o = e.outcomes[i];
    out += csv_field(item.name) + "," + csv_field(e.data.labels[item.label]) + "," +
           csv_field(e.data.groups[item.group]) + ",";
    if (!o.ok) {
      out += ",,,,\n";
      continue;
    }
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, ",%.6f,%zu,%.6f,%.6f\n", double{o.confidence}, o.rank + 1, double{o.cosine},
                  double{o.true_cosine});
    out += csv_field(e.data.labels[o.predicted]) + numbers;
  }
  return out;
}

std::string confusion_csv(const Evaluation& e) {
  std::string out = "label";
  for (const std::string& label : e.data.labels) out.append(1, ',').append(csv_field(label));
  out += "\n";
  for (std::size_t row = 0; row < e.data.labels.size(); ++row) {
    out += csv_field(e.data.labels[row]);
    for (std::size_t column = 0; column < e.data.labels.size(); ++column) {
      const auto found = e.metrics.confusion.find({row, column});
      out.append(1, ',').append(std::to_string(found == e.metrics.confusion.end() ? 0 : found->second.pictures));
    }
    out += "\n";
  }
  return out;
}

}  // namespace cli

// The page of an evaluation.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "evaluate/charts.hpp"
#include "evaluate/evaluation.hpp"
#include "html.hpp"

namespace cli {

namespace {

constexpr std::size_t kWorstClasses = 25;
constexpr std::size_t kPairs = 12;          // most confused pairs that are shown with pictures
constexpr std::size_t kPicturesOfPair = 4;  // mistaken pictures of each
constexpr std::size_t kMatrixLabels = 40;   // beyond, a matrix can't be read any more

std::string percent_text(double share) {
  if (std::isnan(share)) return "-";  // of no pictures
  char text[32];
  std::snprintf(text, sizeof text, "%.2f\u00a0%%", 100.0 * share);
  return text;
}

std::string cell(const std::string& text, bool number = false) {
  return (number ? "<td class=\"n\">" : "<td>") + escape_html(text) + "</td>";
}

std::string section(const char* title, const std::string& content) {
  return std::string("<h2>") + title + "</h2>\n" + content;
}

std::string note(const std::string& text) {
  return "<p class=\"note\">" + escape_html(text) + "</p>\n";
}

std::string summary(const clipon::Model& model, const Evaluation& e) {
  const Metrics& m = e.metrics;
  char numbers[2][32];
  std::snprintf(numbers[0], sizeof numbers[0], "%.4f", m.calibration_error);
  std::snprintf(numbers[1], sizeof numbers[1], "%.1f", e.pictures_per_second());
  std::string templates;
  for (const std::string& text : e.templates) templates += (templates.empty() ? "" : "; ") + text;
  std::string rows;
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"Top-1 accuracy", percent_text(m.all.share1())},
           {"Top-5 accuracy", percent_text(m.all.share5())},
           {"Mean per-class accuracy", percent_text(m.mean_per_class)},
           {"Calibration error (" + std::to_string(kCalibrationBins) + " bins)", numbers[0]},
           {"Pictures, failed", std::to_string(m.all.pictures) + ", " + std::to_string(m.failed)},
           {"Labels", std::to_string(e.data.labels.size())},
           {"Templates", templates},
           {"Pictures a second", numbers[1]},
           {"Model", model.info().name},
           {"Computed in", std::string(to_string(model.precision())) + " on " + to_string(model.isa())},
           {"Model's training data", model.info().training_data}}) {
    rows += "<tr>" + cell(name) + cell(value) + "</tr>\n";
  }
  return "<table>" + rows + "</table>\n";
}

std::string worst_classes(const Evaluation& e) {
  std::vector<std::pair<std::string, double>> bars;
  for (std::size_t i = 0; i < e.metrics.classes.size(); ++i) {
    if (e.metrics.classes[i].pictures > 0) bars.emplace_back(e.data.labels[i], e.metrics.classes[i].share1());
  }
  std::stable_sort(bars.begin(), bars.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::size_t all = bars.size();
  std::string spread;
  if (all > kWorstClasses) {
    std::vector<std::pair<std::string, double>> tenths;
    tenths.reserve(10);
    for (int i = 0; i < 10; ++i)
      tenths.emplace_back(std::to_string(10 * i) + " to " + std::to_string(10 * i + 10) + " %", 0.0);
    for (const auto& [label, share] : bars) {
      tenths[std::min(static_cast<std::size_t>(10.0 * share), std::size_t{9})].second += 1.0 / static_cast<double>(all);
    }
    spread = note("How many of the classes are right how often.") + bar_chart(tenths);
    bars.resize(kWorstClasses);
  }
  const std::string which = bars.size() == all ? "All " + std::to_string(all) + " classes, the worst first: top-1."
                                               : "The " + std::to_string(bars.size()) + " worst of " +
                                                     std::to_string(all) + " classes: top-1.";
  return spread + note(which) + bar_chart(bars);
}

std::string confused_pairs(const clipon::Model& model, const Settings& settings, const Evaluation& e) {
  const clipon::DecodeOptions decode = decode_options(settings);
  const auto figure = [&](std::size_t i, const std::string& caption) {
    return html_figure(
        model, [&] { return read_item(e.data.items[i], decode); }, caption);
  };
  std::string out;
  for (const Confusion& pair : most_confused(e.metrics, kPairs)) {
    out += "<h3>" + escape_html(e.data.labels[pair.label] + " \u2192 " + e.data.labels[pair.predicted]) + ": " +
           std::to_string(pair.pictures) + " of " + std::to_string(e.metrics.classes[pair.label].pictures) + "</h3>\n";
    std::size_t shown = 0;
    std::size_t example = e.outcomes.size();  // a picture of what they were taken for
    for (std::size_t i = 0; i < e.outcomes.size(); ++i) {
      const Outcome& o = e.outcomes[i];
      if (o.ok && e.data.items[i].label == pair.predicted && (example == e.outcomes.size() || o.rank == 0)) example = i;
      if (!o.ok || e.data.items[i].label != pair.label || o.predicted != pair.predicted) continue;
      if (shown++ >= kPicturesOfPair) continue;
      char caption[64];
      std::snprintf(caption, sizeof caption, "confidence %.1f %%, true label's rank %zu", 100.0 * double{o.confidence},
                    o.rank + 1);
      out += figure(i, caption);
    }
    if (example < e.outcomes.size()) out += figure(example, "for comparison: " + e.data.labels[pair.predicted]);
  }
  return out;
}

std::string groups(const Evaluation& e) {
  std::vector<std::pair<std::string, double>> bars;
  std::string rows =
      "<tr><th>Group</th><th class=\"n\">Pictures</th><th class=\"n\">Top-1</th>"
      "<th class=\"n\">Top-5</th><th>Labels that it gets most</th></tr>\n";
  for (std::size_t g = 0; g < e.data.groups.size(); ++g) {
    const Accuracy& a = e.metrics.groups[g];
    if (a.pictures > 0) bars.emplace_back(e.data.groups[g], a.share1());
    std::string rates;
    for (const auto& [label, rate] : label_rates(e, g, 5)) {
      rates += (rates.empty() ? "" : ", ") + e.data.labels[label] + " " + percent_text(rate);
    }
    rows += "<tr>" + cell(e.data.groups[g]) + cell(std::to_string(a.pictures), true) +
            cell(percent_text(a.share1()), true) + cell(percent_text(a.share5()), true) + cell(rates) + "</tr>\n";
  }
  return bar_chart(bars) + "<table>" + rows + "</table>\n";
}

}  // namespace

std::string report_page(const clipon::Model& model, const Settings& settings, const Evaluation& e) {
  std::string body = summary(model, e);
  body += section("Accuracy by class", worst_classes(e));
  body +=
      section("Calibration", note("How often the model is right (bars) where it is this confident; a calibrated one "
                                  "follows the line. Pale bars are of few pictures.") +
                                 calibration_chart(e.metrics));
  if (e.data.labels.size() <= kMatrixLabels) {
    body += section("Confusion matrix", note("True labels down, predicted labels across.") + confusion_chart(e));
  }
  if (e.by_group) body += section("By group", groups(e));
  if (!e.template_scores.empty()) {
    std::vector<std::pair<std::string, double>> bars;
    for (const auto& t : e.template_scores) {
      bars.emplace_back(t.text.empty() ? "all together" : t.text, t.accuracy.share1());
    }
    body += section("By template", note("Top-1 with each template alone, and with all.") + bar_chart(bars));
  }
  if (!e.shifts.empty()) {
    body += section("Pictures made worse", note("Top-1 with ImageNet-C's noise, blur, contrast, JPEG and pixelation.") +
                                               shift_chart(e.metrics.all, e.shifts));
  }
  const std::string pairs = confused_pairs(model, settings, e);
  if (!pairs.empty()) body += section("Most confused", pairs);
  return html_page("clipon evaluate: " + e.source, body);
}

}  // namespace cli

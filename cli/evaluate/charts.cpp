#include "evaluate/charts.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "html.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string svg(double width, double height, const std::string& content) {
  return format("<svg role=\"img\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">", width, height, width,
                height) +
         content + "</svg>\n";
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor) + escape_html(words) + "</text>";
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" style=\"%s\"/>", x1, y1, x2, y2, style);
}

// Long labels are cut; how many bytes of UTF-8 are left is rounded down to whole characters.
std::string shortened(const std::string& label, std::size_t most) {
  if (label.size() <= most) return label;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xc0u) == 0x80u) --end;
  return label.substr(0, end) + "\u2026";
}

constexpr const char* kGrid = "stroke:var(--line)";

// A square plot area with both axes in steps of 20 %; y upwards.
struct Plot {
  double left = 50, top = 10, width = 340, height = 340;
  [[nodiscard]] double x(double share) const { return left + share * width; }
  [[nodiscard]] double y(double share) const { return top + (1.0 - share) * height; }
  [[nodiscard]] std::string grid() const {
    std::string out;
    for (int i = 0; i <= 5; ++i) {
      out += line(left, y(i / 5.0), left + width, y(i / 5.0), kGrid);
      out += text(left - 6, y(i / 5.0) + 4, "end", format("%d %%", 20 * i));
    }
    return out;
  }
};

}  // namespace

std::string bar_chart(const std::vector<std::pair<std::string, double>>& bars) {
  constexpr double step = 22;
  constexpr double names = 260;
  constexpr double longest = 400;
  std::string out;
  double y = 0;
  for (const auto& [name, share] : bars) {
    out += text(names - 8, y + 15, "end", shortened(name, 40));
    out += format("<rect x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"16\" style=\"fill:var(--bar)\"/>", names, y + 3,
                  longest * share);
    out += text(names + longest * share + 6, y + 15, "start", format("%.1f %%", 100 * share));
    y += step;
  }
  return svg(names + longest + 70, y, out);
}

std::string calibration_chart(const Metrics& metrics) {
  const Plot plot;
  std::string out = plot.grid();
  for (int i = 0; i <= 5; ++i) out += text(plot.x(i / 5.0), 368, "middle", format("%d %%", 20 * i));
  const double width = plot.width / static_cast<double>(kCalibrationBins);
  std::size_t most = 1;
  for (const auto& bin : metrics.bins) most = std::max(most, bin.pictures);
  for (std::size_t i = 0; i < metrics.bins.size(); ++i) {
    const CalibrationBin& bin = metrics.bins[i];
    if (bin.pictures == 0) continue;
    const double left = plot.left + static_cast<double>(i) * width;
    const double opacity = 0.25 + 0.75 * static_cast<double>(bin.pictures) / static_cast<double>(most);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" style=\"fill:var(--bar);opacity:%.2f\">",
                  left + 1, plot.y(bin.accuracy), width - 2, bin.accuracy * plot.height, opacity) +
           format("<title>%s, confidence %.3f, accuracy %.3f</title></rect>",
                  counted(bin.pictures, "picture", "pictures").c_str(), bin.confidence, bin.accuracy);
  }
  out += line(plot.x(0), plot.y(0), plot.x(1), plot.y(1), "stroke:var(--bad);stroke-width:2;stroke-dasharray:5 4");
  out += text(plot.left + plot.width / 2, 388, "middle", "confidence");
  return svg(420, 395, out);
}

std::string shift_chart(const Accuracy& clean, const std::vector<ShiftScore>& shifts) {
  constexpr const char* colours[] = {"#4a7ebb", "#c0504d", "#6a9a3b", "#8a5fa8", "#d98a2b"};
  double most = clean.share1();
  for (const ShiftScore& s : shifts) {
    for (const Accuracy& a : s.strengths) most = std::max(most, a.share1());
  }
  Plot plot;
  plot.width = 520;
  std::string out;
  for (int i = 0; i <= 4; ++i) {  // from 0 to the best, which may be far below 100 %
    out += line(plot.left, plot.y(i / 4.0), plot.x(1), plot.y(i / 4.0), kGrid);
    out += text(plot.left - 6, plot.y(i / 4.0) + 4, "end", format("%.0f %%", 25 * i * most));
  }
  for (int i = 0; i <= 5; ++i) out += text(plot.x(i / 5.0), 368, "middle", format("%d", i));
  out += text(plot.left + plot.width / 2, 388, "middle", "strength");
  for (std::size_t s = 0; s < shifts.size(); ++s) {
    std::string points = format("%.1f,%.1f", plot.x(0), plot.y(most > 0 ? clean.share1() / most : 0));
    for (std::size_t i = 0; i < shifts[s].strengths.size(); ++i) {
      const double share = most > 0 ? shifts[s].strengths[i].share1() / most : 0;
      points += format(" %.1f,%.1f", plot.x(static_cast<double>(i + 1) / 5.0), plot.y(share));
    }
    const char* colour = colours[s % std::size(colours)];
    out += "<polyline points=\"" + points + format("\" style=\"fill:none;stroke:%s;stroke-width:2.5\"/>", colour);
    const double y = 26 + 20 * static_cast<double>(s);
    out += line(plot.x(1) + 16, y - 4, plot.x(1) + 40, y - 4, format("stroke:%s;stroke-width:2.5", colour).c_str());
    out += text(plot.x(1) + 46, y, "start", shifts[s].kind);
  }
  return svg(700, 395, out);
}

std::string confusion_chart(const Evaluation& e) {
  constexpr double cell = 18;
  constexpr double names = 170;
  const auto n = static_cast<double>(e.data.labels.size());
  std::string out;
  for (std::size_t row = 0; row < e.data.labels.size(); ++row) {
    const double y = names + cell * static_cast<double>(row);
    out += text(names - 6, y + 13, "end", shortened(e.data.labels[row], 24));
    out += format("<g transform=\"translate(%.1f %.1f) rotate(-60)\">", names + cell * static_cast<double>(row) + 13,
                  names - 6) +
           text(0, 0, "start", shortened(e.data.labels[row], 24)) + "</g>";
  }
  for (const auto& [pair, c] : e.metrics.confusion) {
    const double share = static_cast<double>(c.pictures) / static_cast<double>(e.metrics.classes[c.label].pictures);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" style=\"fill:var(%s);opacity:%.2f\">",
                  names + cell * static_cast<double>(c.predicted), names + cell * static_cast<double>(c.label),
                  cell - 1, cell - 1, c.label == c.predicted ? "--bar" : "--bad", 0.15 + 0.85 * share) +
           "<title>" + escape_html(e.data.labels[c.label] + " as " + e.data.labels[c.predicted]) +
           format(": %zu</title></rect>", c.pictures);
  }
  out += format("<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" style=\"fill:none;stroke:var(--line)\"/>",
                names, names, cell * n, cell * n);
  return svg(names + cell * n + 110, names + cell * n + 4, out);
}

}  // namespace cli

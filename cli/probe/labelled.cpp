#include "probe/labelled.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "inputs.hpp"

namespace cli {

namespace fs = std::filesystem;

namespace {

std::size_t index_of(std::vector<std::string>& labels, const std::string& label) {
  const auto found = std::find(labels.begin(), labels.end(), label);
  if (found != labels.end()) return static_cast<std::size_t>(found - labels.begin());
  labels.push_back(label);
  return labels.size() - 1;
}

// The fields of a line; a field may be in double quotes, a quote inside it doubled (RFC 4180, without line breaks).
std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back().push_back(line[++i]);
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back().push_back(line[i]);
    }
  }
  return fields;
}

Labelled read_csv(const std::string& path) {
  Labelled data;
  const auto lines = read_texts(path);
  const std::vector<std::string> header = lines.empty() ? std::vector<std::string>() : csv_fields(lines[0]);
  const auto column = [&](const char* name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) throw UsageError(path + ": expected columns path and label in its first line");
    return static_cast<std::size_t>(found - header.begin());
  };
  const std::size_t of_path = column("path");
  const std::size_t of_label = column("label");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto fields = csv_fields(lines[i]);
    if (fields.size() != header.size()) {
      throw UsageError(path + ": row " + std::to_string(i) + ": expected " + std::to_string(header.size()) +
                       " fields, found " + std::to_string(fields.size()));
    }
    data.paths.push_back((fs::path(path).parent_path() / fields[of_path]).string());
    data.classes.push_back(index_of(data.labels, fields[of_label]));
  }
  return data;
}

}  // namespace

Labelled read_labelled(const std::string& path) {
  Labelled data;
  if (path.ends_with(".csv")) {
    data = read_csv(path);
  } else {
    std::error_code error;
    std::vector<std::string> folders;
    for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      if (entry->is_directory(error)) folders.push_back(entry->path().string());
    }
    std::sort(folders.begin(), folders.end());
    for (const std::string& folder : folders) {
      const std::size_t one = index_of(data.labels, fs::path(folder).filename().string());
      for (const std::string& picture : expand_pictures({folder})) {
        data.paths.push_back(picture);
        data.classes.push_back(one);
      }
    }
  }
  if (data.paths.empty()) throw UsageError(path + ": expected a folder with a folder a class, or a .csv file");
  return data;
}

std::vector<std::size_t> classes_among(const Labelled& data, const std::vector<std::string>& labels) {
  std::vector<std::size_t> classes;
  for (const std::size_t one : data.classes) {
    const auto found = std::find(labels.begin(), labels.end(), data.labels[one]);
    classes.push_back(found == labels.end() ? clipon::Classifier::kUnknown
                                            : static_cast<std::size_t>(found - labels.begin()));
  }
  return classes;
}

Examples Examples::part(const std::vector<std::size_t>& indices) const {
  Examples out;
  out.rows.resize(static_cast<Eigen::Index>(indices.size()), rows.cols());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    out.rows.row(static_cast<Eigen::Index>(i)) = rows.row(static_cast<Eigen::Index>(indices[i]));
    out.classes.push_back(classes[indices[i]]);
    out.paths.push_back(paths[indices[i]]);
  }
  return out;
}

Examples embed_examples(const clipon::Model& model, const Settings& settings, const Labelled& data,
                        const std::vector<std::size_t>& classes) {
  const Embedded embedded = embed_pictures(model, settings, data.paths, true);
  Examples all;
  all.rows = embedded.rows;
  all.classes = classes;
  all.paths = data.paths;
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < data.paths.size(); ++i) {
    if (embedded.status[i].ok) good.push_back(i);
  }
  const std::size_t failed = report_failures(data.paths, embedded.status);
  if (failed > 0) all = all.part(good);
  all.failed = failed;
  return all;
}

Split hold_out(const std::vector<std::size_t>& classes, std::size_t class_count, double fraction, std::uint64_t seed) {
  Split split;
  const auto shuffled = clipon::choose_shots(classes, class_count, classes.size(), seed);  // class after class
  for (std::size_t first = 0; first < shuffled.size();) {
    std::size_t last = first;
    while (last < shuffled.size() && classes[shuffled[last]] == classes[shuffled[first]]) ++last;
    const auto size = static_cast<double>(last - first);
    const auto wanted = std::min(last - first - 1, static_cast<std::size_t>(std::ceil(size * fraction)));
    const auto middle = shuffled.begin() + static_cast<std::ptrdiff_t>(first + wanted);
    split.held.insert(split.held.end(), shuffled.begin() + static_cast<std::ptrdiff_t>(first), middle);
    split.kept.insert(split.kept.end(), middle, shuffled.begin() + static_cast<std::ptrdiff_t>(last));
    first = last;
  }
  return split;
}

}  // namespace cli

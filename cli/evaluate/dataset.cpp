#include "evaluate/dataset.hpp"

#include <unistd.h>

#include <algorithm>
#include <clipon/format/read_file.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "evaluate/csv.hpp"
#include "evaluate/tar.hpp"
#include "inputs.hpp"
#include "settings.hpp"

namespace cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxTableBytes = 1ull << 30;

// Strings, each with a number, in the order of their first use; closed where the user gave the list.
class Names {
 public:
  explicit Names(std::vector<std::string> known = {}) : closed_(!known.empty()) {
    for (std::string& name : known) add(std::move(name));
  }
  std::size_t number(const std::string& name, const std::string& where) {
    const auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    if (closed_) throw UsageError(where + ": expected a label of the labels file, found '" + name + "'");
    return add(name);
  }
  std::vector<std::string> take() { return std::move(names_); }
  [[nodiscard]] std::size_t size() const { return names_.size(); }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  std::size_t add(std::string name) {
    numbers_.emplace(name, names_.size());
    names_.push_back(std::move(name));
    return names_.size() - 1;
  }
  bool closed_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> numbers_;
};

std::string read_text(const std::string& path) {
  const auto bytes = clipon::format::read_file(path, kMaxTableBytes, "table");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// `_` reads as a space, which may make two names one: the second could never be right.  A labels file may repeat
// itself, as OpenAI's names for ImageNet do.
std::vector<std::string> names_of_folders(const std::string& root, const std::vector<std::string>& folders) {
  std::vector<std::string> names;
  std::unordered_map<std::string, std::string> owners;
  for (const std::string& folder : folders) {
    std::string name = folder;
    std::replace(name.begin(), name.end(), '_', ' ');
    const auto [owner, is_new] = owners.emplace(name, folder);
    if (!is_new) {
      throw UsageError(root + ": folders '" + owner->second + "' and '" + folder +
                       "': expected different labels, found '" + name + "' for both");
    }
    names.push_back(std::move(name));
  }
  return names;
}

// A folder's label: what a .json object says, else the line of the same place in the list, else its name.
std::vector<std::string> folder_labels(const std::string& root, const std::vector<std::string>& folders,
                                       const std::string& labels_file) {
  std::vector<std::string> labels;
  if (labels_file.empty()) return names_of_folders(root, folders);
  const auto json =
      labels_file.ends_with(".json") ? nlohmann::json::parse(read_text(labels_file), nullptr, false) : nlohmann::json();
  if (!json.is_object()) labels = read_texts(labels_file);
  for (const std::string& folder : folders) {
    if (!json.is_object()) break;
    if (!json.contains(folder) || !json[folder].is_string()) {
      std::string message = labels_file;
      message.append(": expected a label for the folder '").append(folder).append("', found none");
      throw UsageError(message);
    }
    labels.push_back(json[folder]);
  }
  if (labels.size() != folders.size()) {
    throw UsageError(labels_file + ": expected a label for each of " + std::to_string(folders.size()) +
                     " folders, found " + std::to_string(labels.size()));
  }
  return labels;
}

Dataset open_folders(const std::string& root, const DatasetOptions& options) {
  std::vector<std::string> folders;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory()) folders.push_back(entry.path().filename().string());
  }
  std::sort(folders.begin(), folders.end());
  if (folders.empty()) throw UsageError(root + ": expected a folder for each class, found none");
  if (!options.group.empty()) throw UsageError("--group: expected a .csv or .tar files, found a folder");
  Dataset data;
  data.labels = folder_labels(root, folders, options.labels_file);
  for (std::size_t label = 0; label < folders.size(); ++label) {
    for (const std::string& path : expand_pictures({(fs::path(root) / folders[label]).string()})) {
      data.items.push_back({path, label, 0, path});
    }
  }
  data.groups = {""};
  return data;
}

Dataset open_csv(const std::string& path, const DatasetOptions& options, Names& labels, Names& groups) {
  const auto records = parse_csv(read_text(path));
  const auto column = [&](const std::string& name) {
    const auto& head = records.front();
    const auto found = std::find(head.begin(), head.end(), name);
    if (found == head.end()) throw UsageError(path + ": expected a column '" + name + "', found none");
    return static_cast<std::size_t>(found - head.begin());
  };
  if (records.empty()) throw UsageError(path + ": expected a line of column names, found nothing");
  const std::size_t file = column("path");
  const std::size_t label = column("label");
  const std::size_t group = options.group.empty() ? label : column(options.group);
  Dataset data;
  for (std::size_t i = 1; i < records.size(); ++i) {
    const auto& record = records[i];
    if (record.size() != records.front().size()) {
      throw UsageError(path + ": record " + std::to_string(i + 1) + ": expected " +
                       std::to_string(records.front().size()) + " fields, found " + std::to_string(record.size()));
    }
    const std::string picture = (fs::path(path).parent_path() / record[file]).string();
    data.items.push_back({picture, labels.number(record[label], path),
                          groups.number(options.group.empty() ? "" : record[group], path), picture});
  }
  return data;
}

// One sample of a shard: the files that share a key.
struct Sample {
  std::optional<TarEntry> picture;
  std::optional<std::string> label;
  std::string label_from;  // the extension of the file that gave it
  std::optional<std::string> group;
  std::string other;  // the extension of a file that is no picture, label or group to clipon
};

class ShardReader {
 public:
  ShardReader(const DatasetOptions& options, Names& labels, Names& groups)
      : options_(options), labels_(labels), groups_(groups) {}

  void read(const std::string& path, Dataset& data) {
    const clipon::format::MappedFile file(path, true, "archive");
    std::map<std::string, Sample> samples;
    for (const TarEntry& entry : list_tar(path)) {
      const std::size_t slash = entry.name.rfind('/');
      const std::size_t dot = entry.name.find('.', slash == std::string::npos ? 0 : slash + 1);
      if (dot == std::string::npos) continue;
      const std::string extension = lower_case(entry.name.substr(dot + 1));
      const auto text = [&] {
        std::string content(reinterpret_cast<const char*>(file.bytes().data()) + entry.offset, entry.size);
        while (!content.empty() && std::isspace(static_cast<unsigned char>(content.back())) != 0) content.pop_back();
        return content;
      };
      Sample& sample = samples[entry.name.substr(0, dot)];
      if (extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "bmp") {
        sample.picture = entry;
      } else if (extension == "cls" || (extension == "txt" && !sample.label)) {
        sample.label = text();
        sample.label_from = extension;
      } else if (extension == "json") {
        take_json(text(), path + "/" + entry.name, sample);
      } else if (sample.other.empty()) {
        sample.other = extension;
      }
    }
    for (const auto& [key, sample] : samples) add(path, key, sample, data);
  }

 private:
  void take_json(const std::string& text, const std::string& name, Sample& sample) const {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return;
    if (!sample.label && json.contains("label") && json["label"].is_string()) {
      sample.label = json["label"];
      sample.label_from = "json";
    }
    if (options_.group.empty() || !json.contains(options_.group)) return;
    const auto& group = json[options_.group];
    if (group.is_structured() || group.is_null()) {
      throw UsageError(name + ": '" + options_.group + "': expected a string, a number or a truth value");
    }
    sample.group = group.is_string() ? group.get<std::string>() : group.dump();
  }

  void add(const std::string& path, const std::string& key, const Sample& sample, Dataset& data) {
    const std::string name = path + "/" + key;
    const std::string other = sample.other.empty() ? "none" : "." + sample.other;
    if (!sample.picture && !sample.label) return;
    if (!sample.label) throw UsageError(name + ": expected .cls, .txt or .json with the label, found " + other);
    if (!options_.group.empty() && !sample.group) {
      throw UsageError(name + ": expected '" + options_.group + "' in its .json, found none");
    }
    Item item{name, label_number(sample, name), groups_.number(sample.group.value_or(""), name), path};
    if (sample.picture) {
      item.offset = sample.picture->offset;
      item.size = sample.picture->size;
    } else {
      item.missing = "expected .jpg, .jpeg, .png or .bmp beside the label, found " + other;
    }
    data.items.push_back(std::move(item));
  }

  // A .cls of digits counts in the list of labels.
  std::size_t label_number(const Sample& sample, const std::string& name) {
    const std::string& label = *sample.label;
    const auto line_ends = std::count(label.begin(), label.end(), '\n');
    if (line_ends > 0) {
      throw UsageError(name + "." + sample.label_from + ": expected a label of one line, found " +
                       std::to_string(line_ends + 1) + " lines (captions are no labels)");
    }
    const bool digits = !label.empty() && label.find_first_not_of("0123456789") == std::string::npos;
    if (digits && !labels_.closed() && sample.label_from == "cls") {
      throw UsageError(name + ".cls: expected a list of names to count class " + label +
                       " in, found none (classnames.txt beside or above the shards, or evaluate --labels-file)");
    }
    if (!digits || !labels_.closed()) return labels_.number(label, name);
    const std::size_t number = label.size() > 9 ? labels_.size() : std::stoul(label);
    if (number >= labels_.size()) {
      throw UsageError(name + ": expected a class below " + std::to_string(labels_.size()) + ", found " + label);
    }
    return number;
  }

  const DatasetOptions& options_;
  Names& labels_;
  Names& groups_;
};

}  // namespace

Dataset open_dataset(const DatasetOptions& options) {
  const std::string& first = options.paths.front();
  const bool shards = std::all_of(options.paths.begin(), options.paths.end(),
                                  [](const std::string& path) { return path.ends_with(".tar"); });
  if (!shards && options.paths.size() > 1) throw UsageError("data: expected one folder, one .csv, or .tar files");
  if (!shards && fs::is_directory(first)) return open_folders(first, options);
  std::string labels_file = options.labels_file;
  for (const char* beside : {"classnames.txt", "../classnames.txt"}) {  // CLIP_benchmark's layout
    const auto path = fs::path(first).parent_path() / beside;
    if (shards && labels_file.empty() && fs::exists(path)) labels_file = path.string();
  }
  Names labels(labels_file.empty() ? std::vector<std::string>() : read_texts(labels_file));
  Names groups;
  Dataset data;
  if (shards) {
    ShardReader reader(options, labels, groups);
    for (const std::string& path : options.paths) reader.read(path, data);
  } else {
    data = open_csv(first, options, labels, groups);
  }
  if (data.items.empty()) throw UsageError(first + ": expected labelled pictures, found none");
  if (std::all_of(data.items.begin(), data.items.end(), [](const Item& item) { return !item.missing.empty(); })) {
    throw UsageError(first + ": " + data.items.front().missing);
  }
  data.labels = labels.take();
  data.groups = groups.take();
  return data;
}

std::vector<std::size_t> labels_of(std::span<const Item> items) {
  std::vector<std::size_t> labels;
  for (const Item& item : items) labels.push_back(item.label);
  return labels;
}

clipon::Image read_item(const Item& item, const clipon::DecodeOptions& options) {
  if (!item.missing.empty()) {
    throw clipon::Error(clipon::ErrorCode::image_unsupported, item.name + ": " + item.missing);
  }
  if (item.offset == 0) return clipon::Image::read(item.file, options);
  if (item.size > options.max_file_bytes) {
    throw clipon::Error(clipon::ErrorCode::limit_exceeded, item.name + ": picture: too many bytes");
  }
  const clipon::format::RegularFile file(item.file, "archive");
  if (::lseek(file.descriptor(), static_cast<off_t>(item.offset), SEEK_SET) < 0) file.fail("can't be read");
  std::vector<std::byte> bytes(item.size);
  file.read(bytes.data(), bytes.size());
  try {
    return clipon::Image::decode(bytes, options);
  } catch (const clipon::Error& error) {
    throw clipon::Error(error.code(), item.name + ": " + error.what());
  }
}

}  // namespace cli

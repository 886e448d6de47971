#include "evaluate/dataset.hpp"

#include <unistd.h>

#include <algorithm>
#include <clipon/format/read_file.hpp>
#include <clipon/format/read_lines.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "evaluate/csv.hpp"
#include "evaluate/names.hpp"
#include "evaluate/shard.hpp"
#include "inputs.hpp"
#include "settings.hpp"

namespace cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxTableBytes = 1ull << 30;

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
      std::string message = root;
      message.append(": folders '").append(owner->second).append("' and '").append(folder);
      message.append("': expected different labels, found '").append(name).append("' for both");
      throw UsageError(message);
    }
    names.push_back(std::move(name));
  }
  return names;
}

// A label a line or element.
std::vector<std::string> read_names(const std::string& path) {
  std::vector<std::string> names = read_texts(path);
  const auto tabbed = std::find_if(names.begin(), names.end(),
                                   [](const std::string& name) { return name.find('\t') != std::string::npos; });
  if (tabbed != names.end()) {
    throw UsageError(path + ": expected one label a line, found a tab in '" + *tabbed + "' (synonyms are classify's)");
  }
  return names;
}

// A folder's label: what a .json object says, else the line of the same place in the list, else its name.
std::vector<std::string> folder_labels(const std::string& root, const std::vector<std::string>& folders,
                                       const std::string& labels_file) {
  std::vector<std::string> labels;
  if (labels_file.empty()) return names_of_folders(root, folders);
  const auto json =
      is_named_like_json(labels_file) ? read_json(labels_file, kMaxTableBytes, "table") : nlohmann::ordered_json();
  if (!json.is_object()) labels = read_names(labels_file);
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
    if (entry.is_directory() && !is_hidden(entry.path())) folders.push_back(entry.path().filename().string());
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
  const auto records = parse_csv(read_text(path), path);
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
    const std::string name(clipon::format::trimmed(record[label]));  // as a labels file's are
    data.items.push_back(
        {picture, labels.number(name, path), groups.number(options.group.empty() ? "" : record[group], path), picture});
  }
  return data;
}

}  // namespace

Dataset open_dataset(const DatasetOptions& options) {
  const std::string& first = options.paths.front();
  const bool shards = std::all_of(options.paths.begin(), options.paths.end(),
                                  [](const std::string& path) { return path.ends_with(".tar"); });
  if (!shards && options.paths.size() > 1) throw UsageError("data: expected one folder, one .csv, or .tar files");
  if (!shards && !fs::exists(first)) {
    throw clipon::Error(clipon::ErrorCode::io, first + ": data: No such file or directory");
  }
  if (!shards && fs::is_directory(first)) return open_folders(first, options);
  std::string labels_file = options.labels_file;
  for (const char* beside : {"classnames.txt", "../classnames.txt"}) {  // CLIP_benchmark's layout
    const auto path = fs::path(first).parent_path() / beside;
    if (shards && labels_file.empty() && fs::exists(path)) labels_file = path.string();
  }
  const auto known = labels_file.empty() ? std::vector<std::string>() : read_names(labels_file);
  if (known.empty() && !labels_file.empty()) throw UsageError(labels_file + ": expected labels, found none");
  Names labels(known);
  Names groups;
  Dataset data;
  if (shards) {
    for (const std::string& path : options.paths) read_shard(path, options.group, labels, groups, data.items);
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
    throw clipon::Error(clipon::ErrorCode::image_too_large, item.name + ": picture: expected at most " +
                                                                std::to_string(options.max_file_bytes) +
                                                                " bytes, found " + std::to_string(item.size));
  }
  const clipon::format::RegularFile file(item.file, "archive");
  if (::lseek(file.descriptor(), static_cast<off_t>(item.offset), SEEK_SET) < 0) file.fail("can't be read");
  std::vector<std::byte> bytes(item.size);
  file.read(bytes.data(), bytes.size());
  return clipon::detail::naming(item.name, [&] { return clipon::Image::decode(bytes, options); });
}

}  // namespace cli

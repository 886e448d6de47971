#include "evaluate/shard.hpp"

#include <algorithm>
#include <cctype>
#include <clipon/format/mapped_file.hpp>
#include <clipon/format/read_lines.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "evaluate/tar.hpp"
#include "inputs.hpp"

namespace cli {

namespace {

// One sample of a shard: the files that share a key.
struct Sample {
  std::optional<TarEntry> picture;
  std::optional<std::string> label;
  std::string label_from;  // the extension of the file that gave it: .cls before .txt before .json
  std::string no_label;    // why its .json has none
  std::optional<std::string> group;
  std::string other;  // the extension of a file that is no picture, label or group to clipon
};

class ShardReader {
 public:
  ShardReader(const std::string& group, Names& labels, Names& groups)
      : group_(group), labels_(labels), groups_(groups) {}

  void read(const std::string& path, std::vector<Item>& items) {
    const clipon::format::MappedFile file(path, true, "archive");
    std::map<std::string, Sample> samples;
    for (const TarEntry& entry : list_tar(file.bytes(), path)) {
      const std::size_t slash = entry.name.rfind('/');
      const std::size_t dot = entry.name.find('.', slash == std::string::npos ? 0 : slash + 1);
      if (dot == std::string::npos) continue;
      const std::string extension = lower_case(entry.name.substr(dot + 1));
      const auto text = [&] {
        std::string content(reinterpret_cast<const char*>(file.bytes().data()) + entry.offset, entry.size);
        while (!content.empty() && std::isspace(static_cast<unsigned char>(content.back())) != 0) content.pop_back();
        return std::string(clipon::format::trimmed(content));
      };
      Sample& sample = samples[entry.name.substr(0, dot)];
      if (is_picture_extension(extension)) {
        if (sample.picture) throw UsageError(path + "/" + entry.name + ": expected one picture of this key, found two");
        sample.picture = entry;
      } else if (extension == "cls" || (extension == "txt" && sample.label_from != "cls")) {
        sample.label = text();
        sample.label_from = extension;
      } else if (extension == "json") {
        take_json(text(), path + "/" + entry.name, sample);
      } else if (sample.other.empty()) {
        sample.other = extension;
      }
    }
    for (const auto& [key, sample] : samples) add(path, key, sample, items);
  }

 private:
  void take_json(const std::string& text, const std::string& name, Sample& sample) const {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) {
      sample.no_label = ".json: expected an object";
      return;
    }
    const auto label = json.find("label");
    if (label == json.end()) {
      sample.no_label = ".json without 'label'";
    } else if (!label->is_string()) {
      sample.no_label = std::string(".json: 'label': expected a string, found ") + label->type_name();
    } else if (!sample.label) {
      sample.label = std::string(clipon::format::trimmed(label->get_ref<const std::string&>()));
      sample.label_from = "json";
    }
    if (group_.empty() || !json.contains(group_)) return;
    const auto& group = json[group_];
    if (group.is_structured() || group.is_null()) {
      throw UsageError(name + ": '" + group_ + "': expected a string, a number or a truth value");
    }
    sample.group = group.is_string() ? group.get<std::string>() : group.dump();
  }

  void add(const std::string& path, const std::string& key, const Sample& sample, std::vector<Item>& items) {
    const std::string name = path + "/" + key;
    const std::string other = sample.other.empty() ? "none" : "." + sample.other;
    if (!sample.picture && !sample.label) return;
    if (!sample.label) {
      throw UsageError(name + ": expected .cls, .txt or .json with the label, found " +
                       (sample.no_label.empty() ? other : sample.no_label));
    }
    if (!group_.empty() && !sample.group) {
      throw UsageError(name + ": expected '" + group_ + "' in its .json, found none");
    }
    Item item{name, label_number(sample, name), groups_.number(sample.group.value_or(""), name), path};
    if (sample.picture) {
      item.offset = sample.picture->offset;
      item.size = sample.picture->size;
    } else {
      item.missing = "expected .jpg, .jpeg, .png or .bmp beside the label, found " + other;
    }
    items.push_back(std::move(item));
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
    if (!digits || sample.label_from != "cls") return labels_.number(label, name);
    if (!labels_.closed()) {
      throw UsageError(name + ".cls: expected a list of names to count class " + label +
                       " in, found none (classnames.txt beside or above the shards, or evaluate --labels-file)");
    }
    const std::size_t number = label.size() > 9 ? labels_.size() : std::stoul(label);
    if (number >= labels_.size()) {
      throw UsageError(name + ": expected a class below " + std::to_string(labels_.size()) + ", found " + label);
    }
    return number;
  }

  const std::string& group_;
  Names& labels_;
  Names& groups_;
};

}  // namespace

void read_shard(const std::string& path, const std::string& group, Names& labels, Names& groups,
                std::vector<Item>& items) {
  ShardReader(group, labels, groups).read(path, items);
}

}  // namespace cli

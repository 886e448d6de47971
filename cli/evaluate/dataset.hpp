// Labelled pictures: a folder a class, a CSV file, or WebDataset shards.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cli {

struct Item {
  std::string name;  // for people
  std::size_t label = 0;
  std::size_t group = 0;
  std::string file;          // the picture, or the archive that holds it
  std::uint64_t offset = 0;  // in the archive; 0: the file is the picture
  std::uint64_t size = 0;    // in the archive
  std::string missing{};     // why there is no picture to read; empty: there is one
};

struct Dataset {
  std::vector<std::string> labels;
  std::vector<std::string> groups;  // of the group column; one, empty, without it
  std::vector<Item> items;
};

struct DatasetOptions {
  std::vector<std::string> paths;  // one folder, one .csv, or .tar files
  std::string labels_file;
  std::string group;  // column of the CSV, or key of the shards' .json files
};

/// Throws UsageError where the parts don't fit together, clipon::Error where a file can't be read.
Dataset open_dataset(const DatasetOptions& options);

/// Each picture's label, as a number.
std::vector<std::size_t> labels_of(std::span<const Item> items);

/// Throws clipon::Error as Image::read does, and image_unsupported where the shard has no picture of this name.
clipon::Image read_item(const Item& item, const clipon::DecodeOptions& options);

}  // namespace cli

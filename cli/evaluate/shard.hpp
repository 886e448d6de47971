// A WebDataset shard: a .tar whose samples are the files that share a key, as CLIP_benchmark writes them.
#pragma once

#include <string>
#include <vector>

#include "evaluate/dataset.hpp"
#include "evaluate/names.hpp"

namespace cli {

/// Appends the shard's samples in the order of their keys.  A label without a picture that clipon reads is an item that
/// says so.  group: a key of the samples' .json files, or empty.  Throws UsageError, naming the sample.
void read_shard(const std::string& path, const std::string& group, Names& labels, Names& groups,
                std::vector<Item>& items);

}  // namespace cli

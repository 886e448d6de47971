// Pictures or texts to embeddings in portions, with a progress bar and each item's fate.
#pragma once

#include <string>
#include <vector>

#include "outputs.hpp"
#include "settings.hpp"

namespace cli {

struct Embedded {
  clipon::Matrix rows;                     // [n, embed_dim]; NaN where an item failed
  std::vector<clipon::ItemStatus> status;  // [n]
};

Embedded embed_pictures(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& paths,
                        bool normalize);
Embedded embed_texts(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& texts,
                     bool normalize);

}  // namespace cli

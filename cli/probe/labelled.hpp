// Pictures with a class each, and their embeddings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/dataset.hpp"
#include "settings.hpp"

namespace cli {

/// One folder, .csv or .tar of labelled pictures.
Dataset read_labelled(const std::string& path);

/// The same classes under other labels' indices; a label that is not among them: clipon::Classifier::kUnknown.
std::vector<std::size_t> classes_among(const Dataset& data, const std::vector<std::string>& labels);

/// The same for pictures that test or validate: throws UsageError, naming `path` and `known`, for a label not among
/// them.
std::vector<std::size_t> known_classes(const Dataset& data, const std::string& path, const Dataset& known,
                                       const std::string& known_path);

struct Examples {
  clipon::Matrix rows;               // [n, embed_dim]
  std::vector<std::size_t> classes;  // [n]
  std::vector<std::string> names;    // [n]
  std::size_t failed = 0;            // pictures that could not be read; reported and left out

  [[nodiscard]] Examples part(const std::vector<std::size_t>& indices) const;
};

/// Throws UsageError, naming `path`, where not one picture could be read.
Examples embed_examples(const clipon::Model& model, const Settings& settings, const Dataset& data,
                        const std::string& path, const std::vector<std::size_t>& classes);

struct Split {
  std::vector<std::size_t> kept;
  std::vector<std::size_t> held;
};

/// Of each class, the share `fraction` (rounded up, at least one kept) is held out; the same for the same seed.
Split hold_out(const std::vector<std::size_t>& classes, std::size_t class_count, double fraction, std::uint64_t seed);

}  // namespace cli

// Labels, the sentences they are put into, and files of both.  Layer 6; part of zero_shot.hpp.
// Radford et al. 2021, section 3.1.4 (prompt engineering and ensembling).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clipon/error.hpp"
#include "clipon/format/read_lines.hpp"

namespace clipon::inline CLIPON_ABI {

/// A class by name; its synonyms are averaged into its prototype as further texts.
struct Label {
  std::string name;
  std::vector<std::string> synonyms = {};
};

[[nodiscard]] inline std::vector<Label> to_labels(const std::vector<std::string>& names) {
  std::vector<Label> labels;
  labels.reserve(names.size());
  for (const std::string& name : names) labels.push_back({name, {}});
  return labels;
}

/// Every {} of the template becomes the label.
inline std::string fill_template(const std::string& text, const std::string& label) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = text.find("{}"); found != std::string::npos; found = text.find("{}", at)) {
    out.append(text, at, found - at).append(label);
    at = found + 2;
  }
  return out.append(text, at);
}

/// The built-in sets: "none" is the label alone, "plain" the paper's first sentence, "ensemble" eight of our own for
/// photographs and drawings alike.  Throws Error invalid_argument for another name.
[[nodiscard]] inline std::vector<std::string> template_set(const std::string& name) {
  if (name == "none") return {"{}"};
  if (name == "plain") return {"a photo of a {}."};
  if (name == "ensemble") {
    return {"{}",
            "a photo of a {}.",
            "a close-up photo of the {}.",
            "a small picture of {}",
            "a drawing of a {}.",
            "an icon of {}",
            "a blurry photo of a {}.",
            "this is a {}."};
  }
  throw Error(ErrorCode::invalid_argument, "template set: expected none, plain or ensemble, found '" + name + "'");
}

/// What ClassifyOptions::background is when multi-label classification is asked for and nothing was said.
[[nodiscard]] inline std::vector<std::string> default_background() {
  return {"a photo", "a picture", "an image", "a photo of something", "a drawing", "an object"};
}

namespace detail {

inline std::vector<std::string> read_prompt_lines(const std::string& path, const char* what) {
  return format::read_lines(path, 64u << 20, what);
}

}  // namespace detail

/// One template a line.  Throws Error io; limit_exceeded above 64 MiB; invalid_argument for a file without one and for
/// a line without {}.
[[nodiscard]] inline std::vector<std::string> read_templates(const std::string& path) {
  std::vector<std::string> lines = detail::read_prompt_lines(path, "templates");
  if (lines.empty()) throw Error(ErrorCode::invalid_argument, path + ": expected a template a line, found none");
  for (const std::string& line : lines) {
    if (line.find("{}") == std::string::npos) {
      std::string why = path;
      why.append(": template '").append(line).append("': expected {} where the label goes");
      throw Error(ErrorCode::invalid_argument, why);
    }
  }
  return lines;
}

/// One label a line, its synonyms after it, separated by tabs; blanks around each are no part of it.  Throws Error io;
/// limit_exceeded above 64 MiB; invalid_argument for none.
[[nodiscard]] inline std::vector<Label> read_labels(const std::string& path) {
  std::vector<Label> labels;
  for (const std::string& line : detail::read_prompt_lines(path, "labels")) {
    Label label;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t end = std::min(line.find('\t', at), line.size());
      const std::string_view name = format::trimmed(std::string_view(line).substr(at, end - at));
      (at == 0 ? label.name : label.synonyms.emplace_back()) = name;
      at = end + 1;
    }
    labels.push_back(std::move(label));
  }
  if (labels.empty()) throw Error(ErrorCode::invalid_argument, path + ": expected a label a line, found none");
  return labels;
}

}  // namespace clipon::inline CLIPON_ABI

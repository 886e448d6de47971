// Classifier::save and load: a strict GGUF file (format/gguf_writer.hpp).  Layer 6; part of zero_shot.hpp, include
// that.
#pragma once

#include "clipon/zero_shot.hpp"
#include "clipon/zero_shot/saved_file.hpp"

namespace clipon::inline CLIPON_ABI {

CLIPON_BODY void Classifier::save(const std::string& path) const {
  format::GgufWriter writer("clipon.classifier");
  detail::write_model_keys(writer, model_);
  writer.strings("clipon.labels", names_);
  std::vector<std::string> synonyms;
  std::vector<std::uint32_t> counts;
  for (const Label& label : labels_) {
    synonyms.insert(synonyms.end(), label.synonyms.begin(), label.synonyms.end());
    counts.push_back(static_cast<std::uint32_t>(label.synonyms.size()));
  }
  writer.strings("clipon.synonyms", synonyms);
  writer.numbers("clipon.synonym_counts", counts);
  writer.strings("clipon.templates", options_.templates);
  writer.strings("clipon.background", options_.background);
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();  // more than any number of labels
  writer.u32("clipon.top", static_cast<std::uint32_t>(std::min(options_.top, most)));
  writer.f64("clipon.temperature", double{options_.temperature});
  writer.f64("clipon.min_cosine", double{options_.reject.min_cosine});
  writer.f64("clipon.min_margin", double{options_.reject.min_margin});
  writer.f64("clipon.min_background", double{options_.reject.min_background});
  writer.boolean("clipon.multi_label", options_.multi_label);
  writer.f64("clipon.multi_label_threshold", double{options_.multi_label_threshold});
  writer.boolean("clipon.truncate", options_.tokenize.truncate);
  writer.tensor("prototypes",
                {static_cast<std::uint64_t>(prototypes_.rows()), static_cast<std::uint64_t>(prototypes_.cols())},
                {prototypes_.data(), static_cast<std::size_t>(prototypes_.size())});
  writer.write(path, detail::kMaxSavedBytes);
}

CLIPON_BODY Classifier Classifier::load(const Model& model, const std::string& path) {
  return detail::read_saved_file(model, path, "clipon.classifier", [&](const format::Gguf& file, auto& weights) {
    Classifier out(model);
    const auto number = [&](const char* key) { return static_cast<float>(file.get<double>(key)); };
    out.options_.templates = file.metadata().strings("clipon.templates");
    out.options_.background = file.metadata().strings("clipon.background");
    out.options_.top = static_cast<std::size_t>(file.get<std::uint64_t>("clipon.top"));
    out.options_.temperature = number("clipon.temperature");
    out.options_.reject = {number("clipon.min_cosine"), number("clipon.min_margin"), number("clipon.min_background")};
    out.options_.multi_label = file.get<bool>("clipon.multi_label");
    out.options_.multi_label_threshold = number("clipon.multi_label_threshold");
    out.options_.tokenize.truncate = file.get<bool>("clipon.truncate");
    detail::check_saved([&] { out.check_options(); });

    std::vector<Label> labels = to_labels(file.metadata().strings("clipon.labels"));
    const auto synonyms = file.metadata().strings("clipon.synonyms");
    const auto counts = file.metadata().numbers("clipon.synonym_counts");
    std::size_t next = 0;
    bool good = !labels.empty() && counts.size() == labels.size();
    for (std::size_t i = 0; good && i < counts.size(); ++i) {
      good = counts[i] <= synonyms.size() - next;
      if (!good) break;
      labels[i].synonyms.assign(synonyms.begin() + static_cast<std::ptrdiff_t>(next),
                                synonyms.begin() + static_cast<std::ptrdiff_t>(next + counts[i]));
      next += static_cast<std::size_t>(counts[i]);
    }
    if (!good || next != synonyms.size()) {
      throw Error(ErrorCode::bad_value, "labels: expected at least one, each with its count of synonyms");
    }
    const auto rows = static_cast<index_t>(labels.size() + out.options_.background.size());
    const std::vector<float> values = weights.get_vector("prototypes", {rows, model.embed_dim()});
    weights.finish();
    Matrix prototypes(rows, model.embed_dim());
    std::copy(values.begin(), values.end(), prototypes.data());
    out.set_prototypes(std::move(labels), std::move(prototypes));
    return out;
  });
}

}  // namespace clipon::inline CLIPON_ABI

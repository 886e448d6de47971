#include "commands/embed_all.hpp"

#include <algorithm>

namespace cli {

namespace {

template <class Embed>
Embedded in_portions(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& items,
                     const char* what, bool normalize, const Embed& embed) {
  Embedded all;
  all.rows.resize(static_cast<Eigen::Index>(items.size()), model.embed_dim());
  Progress progress(what);
  for (std::size_t first = 0; first < items.size(); first += settings.batch) {
    const std::size_t n = std::min(settings.batch, items.size() - first);
    std::vector<clipon::ItemStatus> status;
    clipon::BatchOptions options;
    options.normalize = normalize;
    options.status = &status;
    options.tokenize = tokenize_options(settings);
    options.decode = decode_options(settings);
    options.progress = [&](std::size_t done, std::size_t) { progress.show(first + done, items.size()); };
    const std::span<const std::string> portion(items.data() + first, n);
    all.rows.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(n)) = embed(portion, options);
    all.status.insert(all.status.end(), status.begin(), status.end());
  }
  return all;
}

}  // namespace

Embedded embed_pictures(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& paths,
                        bool normalize) {
  return in_portions(model, settings, paths, "pictures", normalize,
                     [&](auto portion, const auto& options) { return model.embed_image_files(portion, options); });
}

Embedded embed_texts(const clipon::Model& model, const Settings& settings, const std::vector<std::string>& texts,
                     bool normalize) {
  return in_portions(model, settings, texts, "texts", normalize,
                     [&](auto portion, const auto& options) { return model.embed_texts(portion, options); });
}

}  // namespace cli

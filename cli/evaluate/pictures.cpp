#include "evaluate/pictures.hpp"

#include <algorithm>
#include <chrono>
#include <clipon/parallel/parallel_for.hpp>
#include <limits>

#include "outputs.hpp"

namespace cli {

std::vector<Pixels> load_pixels(const clipon::Model& model, const Settings& settings, std::span<const Item> items,
                                std::vector<clipon::ItemStatus>& status) {
  const clipon::DecodeOptions decode = decode_options(settings);
  std::vector<Pixels> pictures(items.size());
  status.assign(items.size(), {});
  clipon::parallel::parallel_for({model.threads()}, static_cast<std::ptrdiff_t>(items.size()), [&](std::ptrdiff_t i) {
    const auto item = static_cast<std::size_t>(i);
    try {
      pictures[item] = model.preprocess(read_item(items[item], decode));
    } catch (const clipon::Error& error) {
      status[item] = {false, error.code(), error.what()};
    }
  });
  return pictures;
}

clipon::Matrix embed_pixels(const clipon::Model& model, const std::vector<Pixels>& pictures) {
  const auto side = model.image_size();
  const Pixels gray(static_cast<std::size_t>(side * side * 3), 128);
  std::vector<clipon::Image> images;
  images.reserve(pictures.size());
  for (const Pixels& p : pictures) {
    images.push_back(clipon::Image::from_rgb(p.empty() ? gray.data() : p.data(), side, side));
  }
  clipon::Matrix rows = model.embed_images(images);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].empty()) {
      rows.row(static_cast<Eigen::Index>(i)).setConstant(std::numeric_limits<float>::quiet_NaN());
    }
  }
  return rows;
}

EmbeddedItems embed_items(const clipon::Model& model, const Settings& settings, std::span<const Item> items,
                          const std::function<void(std::size_t, const std::vector<Pixels>&)>& see) {
  EmbeddedItems all;
  all.rows.resize(static_cast<Eigen::Index>(items.size()), model.embed_dim());
  Progress progress("pictures");
  for (std::size_t first = 0; first < items.size(); first += settings.batch) {
    const auto portion = items.subspan(first, std::min(settings.batch, items.size() - first));
    std::vector<clipon::ItemStatus> status;
    const auto start = std::chrono::steady_clock::now();
    const auto pictures = load_pixels(model, settings, portion, status);
    all.rows.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(portion.size())) =
        embed_pixels(model, pictures);
    all.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    all.status.insert(all.status.end(), status.begin(), status.end());
    if (see) see(first, pictures);
    progress.show(first + portion.size(), items.size());
  }
  return all;
}

}  // namespace cli

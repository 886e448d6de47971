#include "evaluate/pictures.hpp"

#include <algorithm>
#include <clipon/parallel/parallel_for.hpp>
#include <limits>

namespace cli {

std::vector<Pixels> load_pixels(const clipon::Model& model, const Settings& settings, std::span<const Item> items,
                                std::vector<clipon::ItemStatus>& status) {
  clipon::DecodeOptions decode;
  decode.apply_exif_orientation = settings.exif;
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

}  // namespace cli

// How often the right text is among the k nearest of a picture, and the other way round.  Layer 6; part of
// similarity.hpp.  Radford et al. 2021, table 13 (Flickr30k and COCO: recall@1, 5, 10).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "clipon/similarity/cosine.hpp"

namespace clipon::inline CLIPON_ABI {

struct Recall {
  std::vector<double> image_to_text;  ///< for each k: share of pictures with one of their texts among their k nearest
  std::vector<double> text_to_image;  ///< for each k: share of texts whose picture is among their k nearest
};

namespace detail {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();  // the rank of a row that finds no partner

/// For each row of a: how many rows of b are nearer than the best partner; of equal ones the first is nearer.  A
/// product that is NaN, of an embedding that failed, finds nobody.
template <class IsPartner>
std::vector<std::size_t> partner_ranks(const kernels::Context& context, const ConstMatrixRef& a,
                                       const ConstMatrixRef& b, const IsPartner& is_partner) {
  const kernels::PackedMatrix packed = pack_rows(context, b);
  std::vector<std::size_t> ranks(static_cast<std::size_t>(a.rows()), kNever);
  for_each_product_block(context, a, packed, [&](index_t first, index_t count, const float* products) {
    for (index_t i = 0; i < count; ++i) {
      const float* row = products + i * b.rows();
      index_t best = -1;
      for (index_t j = 0; j < b.rows(); ++j) {
        if (is_partner(first + i, j) && is_finite(double{row[j]}) && (best < 0 || row[j] > row[best])) best = j;
      }
      if (best < 0) continue;
      std::size_t rank = 0;
      for (index_t j = 0; j < b.rows(); ++j) rank += row[j] > row[best] || (j < best && row[j] == row[best]) ? 1 : 0;
      ranks[static_cast<std::size_t>(first + i)] = rank;
    }
  });
  return ranks;
}

inline std::vector<double> shares_within(const std::vector<std::size_t>& ranks, std::span<const std::size_t> ks) {
  std::vector<double> shares;
  for (const std::size_t k : ks) {
    const auto hits = std::count_if(ranks.begin(), ranks.end(), [k](std::size_t r) { return r < k; });
    shares.push_back(ranks.empty() ? 0.0 : static_cast<double>(hits) / static_cast<double>(ranks.size()));
  }
  return shares;
}

}  // namespace detail

/// Unit rows images [n, d] and texts [m, d]; image_of_text [m] says which picture each text describes (several texts a
/// picture are usual).  Computed in blocks.  Throws Error invalid_argument for an index outside 0..n-1,
/// another number of them, another width.
[[nodiscard]] inline Recall recall_at(const Model& model, const ConstMatrixRef& images, const ConstMatrixRef& texts,
                                      std::span<const std::size_t> image_of_text, std::span<const std::size_t> ks) {
  detail::check_same_width(images, texts);
  bool good = image_of_text.size() == static_cast<std::size_t>(texts.rows());
  for (const std::size_t image : image_of_text) good = good && image < static_cast<std::size_t>(images.rows());
  if (!good) {
    throw Error(ErrorCode::invalid_argument,
                "image_of_text: expected the index of one of " + std::to_string(images.rows()) +
                    " pictures for each of " + std::to_string(texts.rows()) + " texts, found " +
                    std::to_string(image_of_text.size()) +
                    (image_of_text.size() == static_cast<std::size_t>(texts.rows()) ? ", one of them too large" : ""));
  }
  const auto describes = [&](index_t text, index_t image) {
    return image_of_text[static_cast<std::size_t>(text)] == static_cast<std::size_t>(image);
  };
  const kernels::Context& context = model.context();
  const FloatingPointScope scope;
  Recall recall;
  recall.image_to_text = detail::shares_within(
      detail::partner_ranks(context, images, texts, [&](index_t i, index_t j) { return describes(j, i); }), ks);
  recall.text_to_image = detail::shares_within(detail::partner_ranks(context, texts, images, describes), ks);
  return recall;
}

}  // namespace clipon::inline CLIPON_ABI

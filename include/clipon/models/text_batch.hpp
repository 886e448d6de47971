// The texts of one pass, as the text tower reads them.  Layer 4; made by Model, read by TextTransformer.
// A text may reuse the rows of the prefix that it shares with the text before it; sorted texts share the most.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI::models {

using TokenSpan = std::span<const std::int32_t>;

/// The length of the longest common prefix of a and b.
inline index_t common_prefix(TokenSpan a, TokenSpan b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

class TextBatch {
 public:
  /// share_prefixes = false gives every text rows of its own: the same answers, more work.
  TextBatch(std::span<const TokenSpan> texts, bool share_prefixes) : texts_(texts) {
    shared_.reserve(texts.size());
    for (index_t i = 0; i < count(); ++i) {
      const auto length = static_cast<index_t>(text(i).size());
      shared_.push_back(share_prefixes && i > 0 ? common_prefix(text(i - 1), text(i)) : 0);
      tokens_ += length;
      rows_ += length - shared(i);
      longest_ = std::max(longest_, length);
    }
  }

  [[nodiscard]] index_t count() const { return static_cast<index_t>(texts_.size()); }
  [[nodiscard]] TokenSpan text(index_t i) const { return texts_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] index_t tokens() const { return tokens_; }    ///< of all texts
  [[nodiscard]] index_t rows() const { return rows_; }        ///< of them, those that are computed
  [[nodiscard]] index_t longest() const { return longest_; }  ///< text's tokens
  /// Tokens of text i that have their rows from the text before it.
  [[nodiscard]] index_t shared(index_t i) const { return shared_[static_cast<std::size_t>(i)]; }

 private:
  std::span<const TokenSpan> texts_;
  std::vector<index_t> shared_;  // [texts]
  index_t tokens_ = 0;
  index_t rows_ = 0;
  index_t longest_ = 0;
};

}  // namespace clipon::inline CLIPON_ABI::models

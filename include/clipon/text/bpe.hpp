// Byte-pair encoding of one word (Sennrich et al. 2016) over bytes (Radford et al. 2019).  Layer 3; called by
// tokenizer.hpp and recover_merges.hpp.  openai/CLIP clip/simple_tokenizer.py, bpe(): again and again all occurrences
// of the pair that was merged first in training become one symbol.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "clipon/core/keyed_hash.hpp"
#include "clipon/core/types.hpp"
#include "clipon/text/utf8.hpp"

namespace clipon::inline CLIPON_ABI::text {

constexpr std::string_view kEndOfWord = "</w>";

/// The printable character that stands for each byte in a vocabulary (bytes_to_unicode): printable Latin-1 characters
/// stand for themselves, the 68 others for U+0100 and on.
inline std::array<std::string, 256> byte_alphabet() {
  std::array<std::string, 256> alphabet;
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    append_utf8(alphabet[byte], printable ? static_cast<char32_t>(byte) : next++);
  }
  return alphabet;
}

/// Which pairs of symbols merge, into what, and which first.
class MergeTable {
 public:
  struct Merge {
    std::int32_t rank;
    std::int32_t merged;
  };

  /// The first merge of a pair counts.
  void add(std::int32_t left, std::int32_t right, std::int32_t merged) {
    merges_.try_emplace(key(left, right), Merge{static_cast<std::int32_t>(merges_.size()), merged});
  }
  [[nodiscard]] const Merge* find(std::int32_t left, std::int32_t right) const {
    const auto found = merges_.find(key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }
  void reserve(std::size_t n) { merges_.reserve(n); }

 private:
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }
  std::unordered_map<std::uint64_t, Merge, KeyedHash> merges_;
};

/// Ids by a token's letters; views into the vocabulary.
using TokenIds = std::unordered_map<std::string_view, std::int32_t, KeyedHash>;

/// Merges the symbols of one word, in place.  n log n: pairs wait in a heap by rank and position, and one that has been
/// torn apart meanwhile is recognised when its turn comes.
class WordEncoder {
 public:
  explicit WordEncoder(const MergeTable& merges) : merges_(merges) {}

  /// At most 2^31 - 1 symbols.
  void encode(std::vector<std::int32_t>& symbols) {
    const auto n = static_cast<position_t>(symbols.size());
    if (n < 2) return;
    symbols_ = &symbols;
    previous_.resize(symbols.size());
    next_.resize(symbols.size());
    for (position_t i = 0; i < n; ++i) {
      previous_[static_cast<std::size_t>(i)] = i - 1;
      next_[static_cast<std::size_t>(i)] = i + 1;
    }
    heap_.clear();
    for (position_t i = 0; i + 1 < n; ++i) consider(i, i + 1);
    while (!heap_.empty()) merge_lowest(n);
    symbols.erase(std::remove(symbols.begin(), symbols.end(), kGone), symbols.end());
  }

 private:
  using position_t = std::int32_t;  // half the memory of index_t, of which a long word takes much
  static constexpr std::int32_t kGone = -1;
  struct Candidate {
    std::int32_t rank;
    position_t position;
    std::int32_t left, right, merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  std::int32_t& symbol(position_t i) { return (*symbols_)[static_cast<std::size_t>(i)]; }
  position_t& next(position_t i) { return next_[static_cast<std::size_t>(i)]; }
  position_t& previous(position_t i) { return previous_[static_cast<std::size_t>(i)]; }

  void consider(position_t left, position_t right) {
    const auto* merge = merges_.find(symbol(left), symbol(right));
    if (merge == nullptr) return;
    heap_.push_back({merge->rank, left, symbol(left), symbol(right), merge->merged});
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  // All occurrences of the lowest pair, from the left; the pairs that arise are considered after the last of them.
  void merge_lowest(position_t n) {
    const std::int32_t rank = heap_.front().rank;
    changed_.clear();
    while (!heap_.empty() && heap_.front().rank == rank) {
      const Candidate pair = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      heap_.pop_back();
      const position_t right = next(pair.position);
      if (symbol(pair.position) != pair.left || right >= n || symbol(right) != pair.right) continue;
      symbol(pair.position) = pair.merged;
      symbol(right) = kGone;
      next(pair.position) = next(right);
      if (next(right) < n) previous(next(right)) = pair.position;
      changed_.push_back(pair.position);
    }
    for (const position_t i : changed_) {
      if (symbol(i) == kGone) continue;
      if (previous(i) >= 0) consider(previous(i), i);
      if (next(i) < n) consider(i, next(i));
    }
  }

  const MergeTable& merges_;
  std::vector<std::int32_t>* symbols_ = nullptr;
  std::vector<position_t> previous_;
  std::vector<position_t> next_;
  std::vector<Candidate> heap_;
  std::vector<position_t> changed_;
};

}  // namespace clipon::inline CLIPON_ABI::text

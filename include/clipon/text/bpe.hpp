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
#include <vector>

#include "clipon/core/index_table.hpp"
#include "clipon/core/keyed_hash.hpp"
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
    std::int32_t left, right, merged;
  };
  static constexpr std::int32_t kNone = IndexTable::kNone;

  /// The first merge of a pair counts.
  void add(std::int32_t left, std::int32_t right, std::int32_t merged) {
    const std::size_t hash = hash_of(left, right);
    if (find(left, right, hash) != kNone) return;
    ranks_.add(hash, static_cast<std::int32_t>(merges_.size()));
    merges_.push_back({left, right, merged});
  }
  /// The rank of a pair, the lower the earlier it merges; kNone if it doesn't.
  [[nodiscard]] std::int32_t find(std::int32_t left, std::int32_t right) const {
    return find(left, right, hash_of(left, right));
  }
  [[nodiscard]] const Merge& operator[](std::int32_t rank) const { return merges_[static_cast<std::size_t>(rank)]; }
  void reserve(std::size_t n) {
    ranks_.reserve(n);
    merges_.reserve(n);
  }

 private:
  [[nodiscard]] std::int32_t find(std::int32_t left, std::int32_t right, std::size_t hash) const {
    return ranks_.find(hash, [&](std::int32_t rank) {
      const Merge& merge = (*this)[rank];
      return merge.left == left && merge.right == right;
    });
  }
  [[nodiscard]] std::size_t hash_of(std::int32_t left, std::int32_t right) const {
    return hash_((std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right));
  }

  KeyedHash hash_;
  IndexTable ranks_;
  std::vector<Merge> merges_;  // by rank
};

/// Ids by a token's letters.
class TokenIds {
 public:
  static constexpr std::int32_t kNone = IndexTable::kNone;

  /// Of no token yet.  `tokens` must outlive this object.
  explicit TokenIds(const std::vector<std::string>& tokens) : tokens_(tokens) { ids_.reserve(tokens.size()); }

  /// False, and nothing is added, where a token before has the same letters.
  bool add(std::size_t id) {
    const std::size_t hash = hash_(tokens_[id]);
    if (find(tokens_[id], hash) != kNone) return false;
    ids_.add(hash, static_cast<std::int32_t>(id));
    return true;
  }
  [[nodiscard]] std::int32_t find(std::string_view token) const { return find(token, hash_(token)); }

 private:
  [[nodiscard]] std::int32_t find(std::string_view token, std::size_t hash) const {
    return ids_.find(hash, [&](std::int32_t id) { return tokens_[static_cast<std::size_t>(id)] == token; });
  }

  const std::vector<std::string>& tokens_;
  KeyedHash hash_;
  IndexTable ids_;
};

/// Merges the symbols of one word, in place.  Pairs wait by rank and position, and one that has been torn apart
/// meanwhile is recognised when its turn comes.  Those that arise together are a run in order; a heap holds the runs.
/// A long word of few different pairs has few runs and takes time in its length, any other n log n.
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
    waiting_.clear();
    runs_.clear();
    for (position_t i = 0; i + 1 < n; ++i) consider(i, i + 1);
    end_run(0);
    while (!runs_.empty()) merge_lowest(n);
    symbols.erase(std::remove(symbols.begin(), symbols.end(), kGone), symbols.end());
  }

 private:
  using position_t = std::int32_t;  // half the memory of index_t, of which a long word takes much
  static constexpr std::int32_t kGone = -1;
  // A pair that waits: its rank above its position, so that the lowest number comes first.
  using Waiting = std::uint64_t;
  static std::int32_t rank_of(Waiting pair) { return static_cast<std::int32_t>(pair >> 32); }
  static position_t position_of(Waiting pair) { return static_cast<position_t>(pair & 0xffffffffu); }
  struct Run {
    Waiting first;
    std::size_t at, end;  // of waiting_
    bool operator>(const Run& other) const { return first > other.first; }
  };

  std::int32_t& symbol(position_t i) { return (*symbols_)[static_cast<std::size_t>(i)]; }
  position_t& next(position_t i) { return next_[static_cast<std::size_t>(i)]; }
  position_t& previous(position_t i) { return previous_[static_cast<std::size_t>(i)]; }

  void consider(position_t left, position_t right) {
    const std::int32_t rank = merges_.find(symbol(left), symbol(right));
    if (rank == MergeTable::kNone) return;
    waiting_.push_back(Waiting{static_cast<std::uint32_t>(rank)} << 32 | static_cast<std::uint32_t>(left));
  }

  // What has been considered since waiting_ had `begin` pairs becomes a run.
  void end_run(std::size_t begin) {
    if (begin == waiting_.size()) return;
    const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(begin);
    if (!std::is_sorted(first, waiting_.end())) std::sort(first, waiting_.end());
    runs_.push_back({*first, begin, waiting_.size()});
    std::push_heap(runs_.begin(), runs_.end(), std::greater<>());
  }

  Waiting take_lowest() {
    const Waiting pair = runs_.front().first;
    if (runs_.size() > 1) std::pop_heap(runs_.begin(), runs_.end(), std::greater<>());
    Run& run = runs_.back();
    if (++run.at == run.end) {
      runs_.pop_back();
    } else {
      run.first = waiting_[run.at];
      if (runs_.size() > 1) std::push_heap(runs_.begin(), runs_.end(), std::greater<>());
    }
    return pair;
  }

  // All occurrences of the lowest pair, from the left; the pairs that arise are considered after the last of them.
  void merge_lowest(position_t n) {
    const std::int32_t rank = rank_of(runs_.front().first);
    const MergeTable::Merge& merge = merges_[rank];
    changed_.clear();
    while (!runs_.empty() && rank_of(runs_.front().first) == rank) {
      const position_t left = position_of(take_lowest());
      const position_t right = next(left);
      if (symbol(left) != merge.left || right >= n || symbol(right) != merge.right) continue;
      symbol(left) = merge.merged;
      symbol(right) = kGone;
      next(left) = next(right);
      if (next(right) < n) previous(next(right)) = left;
      changed_.push_back(left);
    }
    const std::size_t begin = waiting_.size();
    for (const position_t i : changed_) {
      if (symbol(i) == kGone) continue;
      if (previous(i) >= 0) consider(previous(i), i);
      if (next(i) < n) consider(i, next(i));
    }
    end_run(begin);
  }

  const MergeTable& merges_;
  std::vector<std::int32_t>* symbols_ = nullptr;
  std::vector<position_t> previous_;
  std::vector<position_t> next_;
  std::vector<Waiting> waiting_;
  std::vector<Run> runs_;
  std::vector<position_t> changed_;
};

}  // namespace clipon::inline CLIPON_ABI::text

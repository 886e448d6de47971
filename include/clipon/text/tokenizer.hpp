// Texts to token ids and back.  Layer 3; a Model owns one.  openai/CLIP clip/simple_tokenizer.py and clip.tokenize.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "clipon/error.hpp"
#include "clipon/options.hpp"
#include "clipon/parallel/parallel_for.hpp"
#include "clipon/text/bpe.hpp"
#include "clipon/text/clean.hpp"
#include "clipon/text/split.hpp"

namespace clipon::inline CLIPON_ABI::text {

/// A vocabulary as the model file holds it.
struct TokenizerConfig {
  std::vector<std::string> tokens;  // by id, in the byte alphabet, "</w>" at a word's end
  std::vector<std::string> merges;  // "left right", by rank
  std::int32_t start_token_id = 0;
  std::int32_t end_token_id = 0;
  index_t context_length = 77;
  Cleaning cleaning = Cleaning::ftfy;
};

// Positions in a word are 32-bit numbers, and NFC makes at most three bytes of one (U+1D163: 12 of 4).
constexpr std::size_t kMostTextBytes = ((std::size_t{1} << 31) - 1) / 3;

/// Immutable after construction: any number of threads may use one.
class Tokenizer {
 public:
  /// Throws Error bad_value or duplicate, naming the entry, when the vocabulary does not hang together: ids out of
  /// range, a byte without a token, a merge of unknown tokens.
  explicit Tokenizer(TokenizerConfig config, parallel::Threads threads = {}) : config_(std::move(config)) {
    const TokenIds ids = index_tokens();
    const auto alphabet = byte_alphabet();
    for (std::size_t byte = 0; byte < 256; ++byte) {
      inner_[byte] = id_of(ids, alphabet[byte], [&] { return "byte " + std::to_string(byte); });
      last_[byte] = id_of(ids, alphabet[byte] + std::string(kEndOfWord),
                          [&] { return "byte " + std::to_string(byte) + " at a word's end"; });
      byte_of_.emplace(alphabet[byte], static_cast<unsigned char>(byte));
    }
    constexpr index_t least = 1024;  // merges a thread
    std::vector<MergeTable::Merge> merges(config_.merges.size());
    parallel::parallel_ranges(threads, static_cast<index_t>(merges.size()), least, [&](index_t first, index_t count) {
      for (auto i = static_cast<std::size_t>(first); count > 0; ++i, --count) merges[i] = merge_of(ids, i);
    });
    merges_.reserve(merges.size());
    for (const MergeTable::Merge& merge : merges) merges_.add(merge.left, merge.right, merge.merged);
  }

  [[nodiscard]] const TokenizerConfig& config() const { return config_; }

  /// The ids of `text` without start and end, however many.  Throws Error invalid_utf8, or text_too_long
  /// for more than options.max_bytes.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, const TokenizeOptions& options = {}) const {
    if (text.size() > std::min(options.max_bytes, kMostTextBytes)) {
      throw Error(ErrorCode::text_too_long, "text '" + excerpt(text) + "': expected at most " +
                                                std::to_string(std::min(options.max_bytes, kMostTextBytes)) +
                                                " bytes, found " + std::to_string(text.size()));
    }
    const std::u32string cleaned = clean(decode_utf8(text, options.replace_invalid_utf8), config_.cleaning);
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> symbols;
    WordEncoder encoder(merges_);
    for_each_word(cleaned, [&](std::u32string_view word) {
      if (word == U"<|startoftext|>") return ids.push_back(config_.start_token_id);
      if (word == U"<|endoftext|>") return ids.push_back(config_.end_token_id);
      symbols.clear();
      const std::string bytes = encode_utf8(word);
      for (const char byte : bytes) symbols.push_back(inner_[static_cast<unsigned char>(byte)]);
      symbols.back() = last_[static_cast<unsigned char>(bytes.back())];
      encoder.encode(symbols);
      ids.insert(ids.end(), symbols.begin(), symbols.end());
    });
    return ids;
  }

  /// start, the ids of `text`, end; at most context_length in all.  Throws Error text_too_long, or with
  /// options.truncate keeps the first ids and the end.
  [[nodiscard]] std::vector<std::int32_t> tokenize(std::string_view text, const TokenizeOptions& options = {}) const {
    std::vector<std::int32_t> ids = encode(text, options);
    ids.insert(ids.begin(), config_.start_token_id);
    ids.push_back(config_.end_token_id);
    const auto limit = static_cast<std::size_t>(config_.context_length);
    if (ids.size() <= limit) return ids;
    if (!options.truncate) {
      throw Error(ErrorCode::text_too_long, "text '" + excerpt(text) + "': expected at most " + std::to_string(limit) +
                                                " tokens, found " + std::to_string(ids.size()));
    }
    ids.resize(limit);
    ids.back() = config_.end_token_id;
    return ids;
  }

  /// The text of ids; special tokens as they are spelled.  Throws Error invalid_argument for an id outside the
  /// vocabulary.
  [[nodiscard]] std::string decode(const std::vector<std::int32_t>& ids) const {
    std::string out;
    for (const std::int32_t id : ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= config_.tokens.size()) {
        throw Error(
            ErrorCode::invalid_argument,
            "token id: expected 0 to " + std::to_string(config_.tokens.size() - 1) + ", found " + std::to_string(id));
      }
      append_token(out, config_.tokens[static_cast<std::size_t>(id)]);
    }
    return out;
  }

 private:
  [[nodiscard]] TokenIds index_tokens() const {
    constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();  // ids and ranks
    if (std::max(config_.tokens.size(), config_.merges.size()) > most) {
      throw Error(ErrorCode::limit_exceeded,
                  "vocabulary: expected at most " + std::to_string(most) + " tokens and merges, found more");
    }
    TokenIds ids(config_.tokens);
    for (std::size_t i = 0; i < config_.tokens.size(); ++i) {
      if (!ids.add(i)) {
        throw Error(ErrorCode::duplicate,
                    "vocabulary: token " + std::to_string(i) + " '" + config_.tokens[i] + "' stands twice");
      }
    }
    for (const std::int32_t id : {config_.start_token_id, config_.end_token_id}) {
      if (id < 0 || static_cast<std::size_t>(id) >= config_.tokens.size()) {
        throw Error(ErrorCode::bad_value, "vocabulary: expected a start and an end token below " +
                                              std::to_string(config_.tokens.size()) + ", found " + std::to_string(id));
      }
    }
    return ids;
  }

  // what() says in the message what the token is for.
  template <class What>
  static std::int32_t id_of(const TokenIds& ids, std::string_view token, const What& what) {
    const std::int32_t found = ids.find(token);
    if (found == TokenIds::kNone) throw Error(ErrorCode::bad_value, "vocabulary: no token for " + what());
    return found;
  }

  [[nodiscard]] MergeTable::Merge merge_of(const TokenIds& ids, std::size_t i) const {
    const std::string_view merge = config_.merges[i];
    const auto what = [&] { return "merge " + std::to_string(i) + " '" + std::string(merge) + "'"; };
    const std::size_t blank = merge.find(' ');
    if (blank == std::string::npos) throw Error(ErrorCode::bad_value, "vocabulary: " + what() + " is not a pair");
    const std::string_view left = merge.substr(0, blank);
    const std::string_view right = merge.substr(blank + 1);
    return {id_of(ids, left, what), id_of(ids, right, what), id_of(ids, std::string(left).append(right), what)};
  }

  void append_token(std::string& out, std::string_view token) const {
    const bool ends_word = token.size() > kEndOfWord.size() && token.ends_with(kEndOfWord);
    if (ends_word) token.remove_suffix(kEndOfWord.size());
    for (std::size_t i = 0; i < token.size();) {
      const std::size_t n = decode_step(token.substr(i)).bytes;
      const auto byte = byte_of_.find(std::string(token.substr(i, n)));
      if (byte != byte_of_.end()) out.push_back(static_cast<char>(byte->second));
      i += n;
    }
    if (ends_word) out.push_back(' ');
  }

  TokenizerConfig config_;
  std::unordered_map<std::string, unsigned char> byte_of_;
  std::int32_t inner_[256] = {};
  std::int32_t last_[256] = {};
  MergeTable merges_;
};

}  // namespace clipon::inline CLIPON_ABI::text

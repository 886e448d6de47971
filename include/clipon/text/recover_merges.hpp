// The merges of a vocabulary that came without them (clip.cpp's files).  Layer 3; called by models/registry.hpp.
// A token was made by one merge of two earlier tokens: encoding its own letters with the earlier merges leaves that
// pair.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clipon/text/bpe.hpp"

namespace clipon::inline CLIPON_ABI::text {

/// "left right" for each token after the single characters, in the order of the vocabulary, which is that of the
/// merges.  Tokens that no two earlier ones make up (the special ones) have none.
inline std::vector<std::string> recover_merges(const std::vector<std::string>& tokens) {
  TokenIds ids(tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) (void)ids.add(i);

  MergeTable merges;
  merges.reserve(tokens.size());
  std::vector<std::string> recovered;
  std::vector<std::int32_t> symbols;
  WordEncoder encoder(merges);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    std::string_view rest = tokens[t];
    const bool ends_word = rest.size() > kEndOfWord.size() && rest.ends_with(kEndOfWord);
    if (ends_word) rest.remove_suffix(kEndOfWord.size());
    symbols.clear();
    bool known = !rest.empty();
    while (known && !rest.empty()) {
      const std::size_t n = decode_step(rest).bytes;
      const bool last = n == rest.size();
      const std::int32_t id =
          ids.find(last && ends_word ? std::string_view(rest.data(), n + kEndOfWord.size()) : rest.substr(0, n));
      known = id != TokenIds::kNone;
      if (known) symbols.push_back(id);
      rest.remove_prefix(n);
    }
    if (!known || symbols.size() < 2) continue;
    encoder.encode(symbols);
    if (symbols.size() != 2) continue;
    merges.add(symbols[0], symbols[1], static_cast<std::int32_t>(t));
    recovered.push_back(tokens[static_cast<std::size_t>(symbols[0])] + " " +
                        tokens[static_cast<std::size_t>(symbols[1])]);
  }
  return recovered;
}

}  // namespace clipon::inline CLIPON_ABI::text

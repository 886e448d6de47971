// Any bytes as a text.  Byte 0 chooses the options.
#include "fuzz.hpp"
#include "tiny_model.hpp"

namespace {

clipon::text::Tokenizer make_tokenizer(clipon::text::Cleaning cleaning) {
  clipon::text::TokenizerConfig config;
  config.tokens = support::tiny_tokens();
  config.merges = support::tiny_merges();
  config.end_token_id = static_cast<std::int32_t>(config.tokens.size()) - 1;
  config.start_token_id = config.end_token_id - 1;
  config.cleaning = cleaning;
  return clipon::text::Tokenizer(std::move(config));
}

}  // namespace

int fuzz::text(const std::uint8_t* data, std::size_t size) {
  static const clipon::text::Tokenizer tokenizers[] = {make_tokenizer(clipon::text::Cleaning::ftfy),
                                                       make_tokenizer(clipon::text::Cleaning::basic)};
  if (size < 1) return 0;
  const clipon::text::Tokenizer& tokenizer = tokenizers[data[0] & 1];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  clipon::TokenizeOptions replace;
  replace.replace_invalid_utf8 = true;
  replace.truncate = true;
  const auto replaced = tokenizer.encode(text, replace);
  for (const std::int32_t id : replaced) {
    fuzz::expect(id >= 0 && static_cast<std::size_t>(id) < tokenizer.config().tokens.size(),
                 "ids are of the vocabulary");
  }
  (void)tokenizer.decode(replaced);
  const auto ids = tokenizer.tokenize(text, replace);
  fuzz::expect(ids.size() >= 2 && ids.size() <= 77 && ids.back() == tokenizer.config().end_token_id, "cut to length");
  try {
    fuzz::expect(tokenizer.encode(text) == replaced, "sound UTF-8 needs no replacing");
  } catch (const clipon::Error& error) {
    fuzz::expect(error.code() == clipon::ErrorCode::invalid_utf8, "only the encoding can be wrong");
    fuzz::expect_one_line(error);
  }
  return 0;
}

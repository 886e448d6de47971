// The whole of tokens.json is compared by tests/reference; here are the corners of the API.
#include <chrono>

#include "support.hpp"

using namespace clipon;

TEST_CASE("cleaning: entities twice, white space, case, quotes, full-width letters") {
  const auto& tokenizer = support::demo_model().tokenizer();
  const auto same = [&](const std::string& a, const std::string& b) {
    CHECK(tokenizer.encode(a) == tokenizer.encode(b));
  };
  same("  A\tCat \n", "a cat");
  same("Tom &amp;amp; Jerry", "tom & jerry");
  same("\xe2\x80\x9cred\xe2\x80\x9d", "\"red\"");  // curly quotes
  same("\xef\xbc\xa1\xef\xbc\xa2", "ab");          // full-width A B
  same("\xc3\x89T\xc3\x89", "\xc3\xa9t\xc3\xa9");  // lower case beyond ASCII
  same("e\xcc\x81", "\xc3\xa9");                   // composed
  same("a\xcd\x85 b\xcd\x85!", "a b !");           // U+0345, which the reference's pattern passes over
}

TEST_CASE("special tokens may be spelled in the text") {
  const auto& tokenizer = support::demo_model().tokenizer();
  const auto ids = tokenizer.tokenize("a <|endoftext|> b");
  CHECK(ids.front() == tokenizer.config().start_token_id);
  CHECK(std::count(ids.begin(), ids.end(), tokenizer.config().end_token_id) == 2);
  // the tower pools at the first of them: what follows has no part in the vector
  const Model& model = support::demo_model();
  CHECK(model.embed_text("a <|endoftext|> b") == model.embed_text("a <|endoftext|> something else"));
  CHECK_FALSE(model.embed_text("a <|endoftext|> b") == model.embed_text("b"));
}

TEST_CASE("decode gives the cleaned text back") {
  const auto& tokenizer = support::demo_model().tokenizer();
  CHECK(tokenizer.decode(tokenizer.encode("A Red  apple, 3 cats!")) == "a red apple , 3 cats ! ");
  CHECK(support::code_of([&] { (void)tokenizer.decode({-1}); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)tokenizer.decode({8514}); }) == ErrorCode::invalid_argument);
}

TEST_CASE("invalid UTF-8 is refused with its offset, or replaced when asked for") {
  const auto& tokenizer = support::demo_model().tokenizer();
  const std::string bad[] = {"a\x80", "a\xc3", "a\xc0\xaf", "a\xed\xa0\x80", "a\xf4\x90\x80\x80", "a\xff", "a\xe2\x82"};
  for (const std::string& text : bad) {
    try {
      (void)tokenizer.encode(text);
      FAIL("expected an error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_utf8);
      CHECK(std::string(error.what()).find("byte 1") != std::string::npos);
    }
    TokenizeOptions options;
    options.replace_invalid_utf8 = true;
    CHECK_FALSE(tokenizer.encode(text, options).empty());
  }
}

TEST_CASE("the context length counts start and end; truncation keeps the end") {
  const auto& tokenizer = support::demo_model().tokenizer();
  std::string text;
  for (int i = 0; i < 30; ++i) text += "cat ";
  CHECK(tokenizer.tokenize(text).size() == 32);
  text += "cat";
  CHECK(support::code_of([&] { (void)tokenizer.tokenize(text); }) == ErrorCode::text_too_long);
  TokenizeOptions options;
  options.truncate = true;
  const auto ids = tokenizer.tokenize(text, options);
  CHECK(ids.size() == 32);
  CHECK(ids.back() == tokenizer.config().end_token_id);
}

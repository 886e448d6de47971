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

TEST_CASE("numeric references by the rules of HTML 5") {
  const auto unescaped = [](const std::string& text) {
    return text::encode_utf8(text::html_unescape(text::decode_utf8(text)));
  };
  CHECK(unescaped("&#65;&#x41;&#X4a;&#x4A;") == "AAJJ");
  CHECK(unescaped("&#128;&#x99;") == "\xe2\x82\xac\xe2\x84\xa2");  // meant as Windows-1252
  const std::string replaced = "\xef\xbf\xbd";
  for (const char* reference : {"&#0;", "&#xd800;", "&#xdfff;", "&#x110000;", "&#4294967361;", "&#x100000041;"}) {
    CAPTURE(reference);
    CHECK(unescaped(reference) == replaced);
  }
  for (const char* reference : {"&#1;", "&#11;", "&#127;", "&#xfdd0;", "&#xffff;", "&#x1fffe;"}) {
    CAPTURE(reference);
    CHECK(unescaped(reference).empty());
  }
  CHECK(unescaped("&#18446744073709551681;") == replaced);  // 2^64 + 65: no wrapping round
  CHECK(unescaped("&ltx &Aacutex &lt") == "<x \xc3\x81x <");
}

TEST_CASE("cleaning: control characters, quotes, terminal escapes, sigma, Hangul, order of marks") {
  const auto cleaned = [](const std::string& text, text::Cleaning how = text::Cleaning::ftfy) {
    return text::encode_utf8(text::clean(text::decode_utf8(text), how));
  };
  CHECK(cleaned("a\x7f"
                "b\xef\xbb\xbf"
                "c\x0b"
                "d\xef\xbf\xbc"
                "e\xe2\x81\xaa"
                "f") == "abcdef");
  CHECK(cleaned("\xca\xbc\xe2\x80\x9b\xe2\x80\x9f") == "''\"");
  CHECK(cleaned("\033[1;31mred\033[0m") == "red");
  CHECK(cleaned("\xef\xac\x81") == "fi");                                                      // a ligature
  CHECK(cleaned("\xce\x91\xce\xa3 \xce\xa3\xce\x91") == "\xce\xb1\xcf\x82 \xcf\x83\xce\xb1");  // final sigma
  CHECK(cleaned("\xce\xa3") == "\xcf\x83");                                      // none without a letter before it
  CHECK(cleaned("\xce\x91'\xce\xa3'\xce\x91") == "\xce\xb1'\xcf\x83'\xce\xb1");  // none, past what has no case
  CHECK(cleaned("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa7") == "\xea\xb0\x80\xe1\x86\xa7");  // no third part
  CHECK(cleaned("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8") == "\xea\xb0\x81");              // Hangul of three parts
  CHECK(cleaned("a\xcc\x81\xcc\xa3") == "\xe1\xba\xa1\xcc\x81");                         // the mark below is first
  CHECK(cleaned("a <\n&amp;eacute;") == "a < \xc3\xa9");
  CHECK(cleaned("a <\n&EACUTE;") == "a < &eacute;");  // after a '<' only what html.unescape knows
  CHECK(cleaned("\x1c"
                "a\x1f",
                text::Cleaning::basic) == "a");  // what str.strip takes for white space
  CHECK(cleaned("\xe2\x80\x9c", text::Cleaning::basic) == "\xe2\x80\x9c");
  CHECK(cleaned("&amp;lt;", text::Cleaning::basic) == "<");
}

TEST_CASE("merges recovered from a vocabulary are those that made it") {
  const std::vector<std::string> tokens = {"a",  "b",       "c",   "a</w>",   "b</w>", "c</w>",
                                           "ab", "abc</w>", "abc", "special", "bc</w>"};
  CHECK(text::recover_merges(tokens) == std::vector<std::string>{"a b", "ab c</w>", "ab c", "b c</w>"});
}

TEST_CASE("the start may be spelled too; a text of exactly max_bytes is read; messages cut between characters") {
  const auto& tokenizer = support::demo_model().tokenizer();
  CHECK(tokenizer.encode("<|startoftext|>") == std::vector<std::int32_t>{tokenizer.config().start_token_id});
  TokenizeOptions options;
  options.max_bytes = 3;
  CHECK_NOTHROW((void)tokenizer.encode("cat", options));
  CHECK(support::code_of([&] { (void)tokenizer.encode("cats", options); }) == ErrorCode::text_too_long);
  try {
    (void)tokenizer.encode(std::string(39, 'a') + "\xc3\xa9\xc3\xa9", options);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(std::string(39, 'a') + "...") != std::string::npos);
  }
}

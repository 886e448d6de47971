// Each step from a text to ids by itself, at the edges of what it looks for.  What is expected is what Python's html,
// ftfy and regex give for openai/CLIP's simple_tokenizer.py.
#include <algorithm>
#include <clipon/text/bpe.hpp>
#include <clipon/text/clean.hpp>
#include <clipon/text/split.hpp>
#include <clipon/text/tokenizer.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include "tiny_model.hpp"

using namespace clipon;

namespace {

std::u32string cleaned(const std::u32string& text, text::Cleaning how = text::Cleaning::ftfy) {
  return text::clean(text, how);
}

text::TokenizerConfig tiny_config() {
  text::TokenizerConfig config;
  config.tokens = support::tiny_tokens();
  config.merges = support::tiny_merges();
  config.end_token_id = static_cast<std::int32_t>(config.tokens.size() - 1);
  config.start_token_id = config.end_token_id - 1;
  return config;
}

// The definition: the pair of the lowest rank becomes one symbol wherever it stands, from the left, until none is left.
std::vector<std::int32_t> merged_by_definition(const text::MergeTable& merges, std::vector<std::int32_t> symbols) {
  while (true) {
    std::int32_t lowest = text::MergeTable::kNone;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const std::int32_t rank = merges.find(symbols[i], symbols[i + 1]);
      if (rank != text::MergeTable::kNone && (lowest == text::MergeTable::kNone || rank < lowest)) lowest = rank;
    }
    if (lowest == text::MergeTable::kNone) return symbols;
    const auto& merge = merges[lowest];
    std::vector<std::int32_t> next;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const bool pair = i + 1 < symbols.size() && symbols[i] == merge.left && symbols[i + 1] == merge.right;
      next.push_back(pair ? merge.merged : symbols[i]);
      i += pair ? 1 : 0;
    }
    symbols = std::move(next);
  }
}

}  // namespace

TEST_CASE("UTF-8 of one to four bytes, to the last code point; ill-formed parts are replaced one by one") {
  const std::string bytes = "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  const std::u32string points = {0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
  CHECK(text::decode_utf8(bytes) == points);
  CHECK(text::encode_utf8(points) == bytes);
  const std::pair<std::string, std::size_t> parts[] = {{"\xe0\x9f\xbf", 3},     {"\xf0\x8f\xbf\xbf", 4},
                                                       {"\xf5\x80\x80\x80", 4}, {"\xf0\x90\x80", 1},
                                                       {"\xe2\x82", 1},         {"\xf1\x80\x80\xe2", 2}};
  for (const auto& part : parts) CHECK(text::decode_utf8(part.first, true) == std::u32string(part.second, 0xfffd));
}

TEST_CASE("ASCII letters, digits and white space") {
  std::string letters;
  std::string digits;
  std::string spaces;
  std::string stripped;
  for (char32_t c = 0; c < 0x80; ++c) {
    if (text::is_letter(c)) letters += static_cast<char>(c);
    if (text::is_number(c)) digits += static_cast<char>(c);
    if (text::is_regex_space(c)) spaces += static_cast<char>(c);
    if (text::is_strip_space(c)) stripped += static_cast<char>(c);
  }
  CHECK(letters == "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  CHECK(digits == "0123456789");
  CHECK(spaces == "\t\n\v\f\r ");
  CHECK(stripped == "\t\n\v\f\r\x1c\x1d\x1e\x1f ");
  CHECK(text::lower(U"AZ[`az{\u00c0") == U"az[`az{\u00e0");
}

TEST_CASE("control characters are removed to the first and last of each range, others are not") {
  for (const char32_t c : {0x0u, 0x8u, 0xbu, 0xeu, 0x1bu, 0x1fu, 0x7fu, 0x206au, 0x206fu, 0xfeffu, 0xfff9u, 0xfffcu}) {
    CHECK(cleaned({U'a', c, U'b'}) == U"ab");
  }
  for (const char32_t c : {0x2069u, 0x2070u, 0xfff8u, 0xfffdu}) {
    CHECK(cleaned({U'a', c, U'b'}) == std::u32string{U'a', c, U'b'});
  }
  CHECK(cleaned(U"a\x1c b", text::Cleaning::basic) == U"a\x1c b");  // white space to str.strip, not to the pattern
}

TEST_CASE("quotes, C1 controls, terminal escapes and levels of HTML as ftfy takes them") {
  CHECK(cleaned(U"\u02bc\u2017\u2018\u2019\u201b\u201c\u201d\u201f\u2020") == U"'\u2017'''\"\"\"\u2020");
  CHECK(cleaned(U"\u0080\u0081") == U"\u20ac\u0081");
  CHECK(cleaned(U"\033[\u0661mred") == U"red");  // any decimal digit
  CHECK(cleaned(U"\033[;1;mred\033[") == U"red[");
  CHECK(cleaned(U"\033[\u00e9") == U"[\u00e9");  // but no letter beyond ASCII
  CHECK(cleaned(U"&amp;amp;amp;amp;lt;") == U"<");
  CHECK(cleaned(U"&EACUTE;") == U"\u00e9");
  CHECK(cleaned(U"&amp;EACUTE;") == U"\u00e9");
  // the ligatures that it undoes are those of complete references of at most 24 characters
  CHECK(cleaned(U"&#64257; \ufb01") == U"fi fi");
  CHECK(cleaned(U"&#64257 x") == U"\ufb01 x");
  CHECK(cleaned(U"&#" + std::u32string(19, U'0') + U"64257;") == U"fi");
  CHECK(cleaned(U"&#" + std::u32string(20, U'0') + U"64257;") == U"\ufb01");
}

TEST_CASE("references to the first and last characters of what HTML 5 treats apart") {
  const std::pair<std::u32string, std::u32string> cases[] = {
      {U"&#x10fffd;&#x10ffff;", U"\U0010fffd"},
      {U"&#x10fffe;&#xfffe;", U""},
      {U"&#x9f;&#xa0;", U"\u0178\u00a0"},
      {U"&#x81;", U"\u0081"},
      {U"&#8;&#9;", U"\t"},
      {U"&#14;&#13;", U"\r"},
      {U"&#31; ", U" "},
      {U"&#xfdef;&#xfdf0;", U"\ufdf0"},
      {U"&#x7e;&#x7f;", U"~"},
      {U"&#x2F;&#x2f;", U"//"},
      {U"&#x;&#;&;&", U"&#x;&#;&;&"},
      {U"&#xd7ff;&#xe000;", U"\ud7ff\ue000"},
      {U"&CounterClockwiseContourIntegral;", U"\u2233"},
      {U"&\u0161mp;", U"&\u0161mp;"},  // whose low byte is 'a'
  };
  for (const auto& example : cases) {
    CHECK(text::encode_utf8(text::html_unescape(example.first)) == text::encode_utf8(example.second));
  }
}

TEST_CASE("what form C composes and what it leaves") {
  CHECK(text::normalize_nfc(U"\u1112\u1175\u11c2") == U"\ud7a3");  // the last syllable of all
  CHECK(text::normalize_nfc(U"\ud7a3") == U"\ud7a3");
  CHECK(text::normalize_nfc(U"\u03b1\u0345") == U"\u1fb3");
  for (const char32_t* same : {U"\u1113\u1161", U"\u1100\u1176", U"\u1100\u1160", U"\uac01\u11a8", U"\uac00\u11c3",
                               U"\ud7a4\u11a8", U"\ud7a4", U"a\u0305\u0301"}) {  // the last: marks of one class
    CHECK(text::normalize_nfc(same) == same);
  }
}

TEST_CASE("words are cut as the pattern cuts them") {
  const auto words = [](const std::u32string& text) {
    std::vector<std::string> found;
    text::for_each_word(text, [&](std::u32string_view word) { found.push_back(text::encode_utf8(word)); });
    return found;
  };
  using Words = std::vector<std::string>;
  CHECK(words(U"a1!b") == Words{"a", "1", "!", "b"});
  CHECK(words(U"12!? 3.") == Words{"1", "2", "!?", "3", "."});
  CHECK(words(U"x's y't z're w've v'm u'll t'd n'x '") ==
        Words{"x", "'s", "y", "'t", "z", "'re", "w", "'ve", "v", "'m", "u", "'ll", "t", "'d", "n", "'", "x", "'"});
  CHECK(words(U"'\u017fx") == Words{"'\xc5\xbf", "x"});
  CHECK(words(U"!\u0345! a\u0345b") == Words{"!", "!", "a", "b"});
  CHECK(words(U"<|startoftext|>a<|endoftext|><|start") ==
        Words{"<|startoftext|>", "a", "<|endoftext|>", "<|", "start"});
  CHECK(words(U"\u00bd2\u0660") == Words{"\xc2\xbd", "2", "\xd9\xa0"});
}

TEST_CASE("pairs merge by rank, wherever they stand, whatever the merges: random ones against the definition") {
  support::Random random(3);
  const auto pick = [&](std::int32_t below) { return static_cast<std::int32_t>(random.whole(0, below - 1)); };
  for (int round = 0; round < 300; ++round) {
    std::vector<text::MergeTable::Merge> list;
    for (std::int32_t made = 3; made < 9; ++made) list.push_back({pick(made), pick(made), made});
    list.push_back({list[0].left, list[0].right, 9});  // of a pair twice the first counts
    std::shuffle(list.begin(), list.end() - 1, std::mt19937(static_cast<unsigned>(round)));  // ranks in any order
    text::MergeTable merges;
    for (const auto& merge : list) merges.add(merge.left, merge.right, merge.merged);
    text::WordEncoder encoder(merges);
    for (int word = 0; word < 20; ++word) {
      std::vector<std::int32_t> symbols(static_cast<std::size_t>(random.whole(0, 16)));
      for (auto& symbol : symbols) symbol = pick(3);
      const auto expected = merged_by_definition(merges, symbols);
      encoder.encode(symbols);
      REQUIRE(symbols == expected);
    }
  }
  text::MergeTable twice;
  twice.add(0, 1, 2);
  twice.add(0, 1, 3);
  CHECK(twice[twice.find(0, 1)].merged == 2);
}

TEST_CASE("merges that several threads look up are those of one, and the first that is wrong is named") {
  text::TokenizerConfig config = tiny_config();
  const text::Tokenizer one(config);
  const auto merges = config.merges;  // they come to stand at the end, and where one thread's share ends
  config.merges.assign(4500, merges[0]);
  config.merges.insert(config.merges.end(), merges.begin(), merges.begin() + 3);
  config.merges.resize(9000, merges[0]);
  config.merges.insert(config.merges.end(), merges.begin() + 3, merges.end());
  const text::Tokenizer four(config, {4});
  for (const std::string& token : config.tokens) REQUIRE(four.encode(token) == one.encode(token));
  config.merges[8000] = "later";
  config.merges[3001] = "earlier";
  CHECK_THROWS_WITH_AS(text::Tokenizer(config, {4}), "vocabulary: merge 3001 'earlier' is not a pair", Error);
}

TEST_CASE("a vocabulary that does not hang together is refused, by the entry") {
  const auto check = [](const auto& change, const std::string& message) {
    text::TokenizerConfig config = tiny_config();
    change(config);
    CHECK_THROWS_WITH_AS(text::Tokenizer(std::move(config)), message.c_str(), Error);
  };
  using Config = text::TokenizerConfig;
  CHECK_NOTHROW((void)text::Tokenizer(tiny_config()));
  const std::string size = std::to_string(tiny_config().tokens.size());
  check([](Config& c) { c.tokens[515] = c.tokens[7]; },
        "vocabulary: token 515 '" + tiny_config().tokens[7] + "' stands twice");
  check([](Config& c) { c.end_token_id = static_cast<std::int32_t>(c.tokens.size()); },
        "vocabulary: expected a start and an end token below " + size + ", found " + size);
  check([](Config& c) { c.start_token_id = -1; },
        "vocabulary: expected a start and an end token below " + size + ", found -1");
  check([](Config& c) { c.tokens[33] = "other"; }, "vocabulary: no token for byte 33");
  check([](Config& c) { c.tokens[256 + 33] = "other"; }, "vocabulary: no token for byte 33 at a word's end");
  check([](Config& c) { c.merges[1] = "cat</w>"; }, "vocabulary: merge 1 'cat</w>' is not a pair");
  check([](Config& c) { c.merges[2] = "d x"; }, "vocabulary: no token for merge 2 'd x'");
}

TEST_CASE("ids beyond the vocabulary and texts that are too long are named with what was found") {
  text::TokenizerConfig config = tiny_config();
  config.context_length = 4;
  config.tokens[513] = "</w>";  // no word's end, having no word
  config.merges = {"a t</w>"};
  const auto last = static_cast<std::int32_t>(config.tokens.size() - 1);
  const text::Tokenizer tokenizer(std::move(config));
  CHECK(tokenizer.decode({513, last}) == "</w><|endoftext|>");
  CHECK_THROWS_WITH_AS(
      (void)tokenizer.decode({last + 1}),
      ("token id: expected 0 to " + std::to_string(last) + ", found " + std::to_string(last + 1)).c_str(), Error);
  CHECK_THROWS_WITH_AS((void)tokenizer.tokenize("b c d"), "text 'b c d': expected at most 4 tokens, found 5", Error);
  const std::string forty(40, '!');  // each of them is a token
  CHECK_THROWS_WITH_AS((void)tokenizer.tokenize(forty),
                       ("text '" + forty + "': expected at most 4 tokens, found 42").c_str(), Error);
  CHECK_THROWS_WITH_AS((void)tokenizer.tokenize(forty + "!"),
                       ("text '" + forty + "...': expected at most 4 tokens, found 43").c_str(), Error);
}

// Hostile texts: bytes that are no UTF-8, every corner of Unicode, lengths that make a careless tokenizer slow.
#include <clipon/core/utf8.hpp>

#include "matrix.hpp"
#include "memory.hpp"
#include "tiny_model.hpp"

namespace trust {

namespace {

using clipon::TokenizeOptions;

constexpr Limits kTextLimits = {0.2, std::size_t{2} << 20};

TokenizeOptions lenient() {
  TokenizeOptions options;
  options.truncate = true;
  options.replace_invalid_utf8 = true;
  return options;
}

// One ill-formed part between sound ones: the first byte that is wrong is byte `at`.
void ill_formed(Section& section, const clipon::Model& model, const std::string& part) {
  const std::string text = "a cat " + part + " dog";
  const Outcome outcome = section.any("ill-formed", kTextLimits, [&] { (void)model.embed_text(text); });
  section.check("ill-formed: the byte is named",
                outcome.code == ErrorCode::invalid_utf8 && outcome.message.find("byte 6") != std::string::npos);
  section.works("ill-formed: replaced", kTextLimits, [&] { (void)model.embed_text(text, lenient()); });
}

void check_encoding(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("text: ill-formed UTF-8");
  const clipon::Model& model = probe.model();
  const auto bytes = [](std::initializer_list<int> values) {
    std::string text;
    for (const int v : values) text += static_cast<char>(v);
    return text;
  };
  for (int lead = 0x80; lead <= 0xff; ++lead) {  // a lead byte alone, or a byte that leads nothing
    ill_formed(section, model, bytes({lead}));
  }
  for (int lead = 0xc2; lead <= 0xf4; ++lead) {  // cut after each byte, and a byte that does not continue
    ill_formed(section, model, bytes({lead, 'x'}));
    if (lead >= 0xe0) ill_formed(section, model, bytes({lead, 0xa0 - (lead == 0xed || lead == 0xf4 ? 0x20 : 0), 'x'}));
    if (lead >= 0xf0) ill_formed(section, model, bytes({lead, lead == 0xf4 ? 0x80 : 0x90, 0x80, 'x'}));
  }
  for (const auto& part :
       {bytes({0xc0, 0x80}), bytes({0xc1, 0xbf}), bytes({0xe0, 0x80, 0x80}), bytes({0xe0, 0x9f, 0xbf}),
        bytes({0xf0, 0x80, 0x80, 0x80}), bytes({0xf0, 0x8f, 0xbf, 0xbf}), bytes({0xed, 0xa0, 0x80}),
        bytes({0xed, 0xbf, 0xbf}), bytes({0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80}), bytes({0xf4, 0x90, 0x80, 0x80}),
        bytes({0xf7, 0xbf, 0xbf, 0xbf}), bytes({0xf8, 0x88, 0x80, 0x80, 0x80}),
        bytes({0xfc, 0x84, 0x80, 0x80, 0x80, 0x80}), bytes({0xfe, 0xfe, 0xff, 0xff})}) {
    ill_formed(section, model, part);
  }
  // Unicode 15, table 3-8: one U+FFFD for each maximal part
  const std::string replaced = "\xef\xbf\xbd";
  const std::pair<std::string, int> parts[] = {{bytes({0xc0, 0xaf}), 2},
                                               {bytes({0xe0, 0x80}), 2},
                                               {bytes({0xf0, 0x90, 0x80}), 1},
                                               {bytes({0xed, 0xa0, 0x80}), 3},
                                               {bytes({0xf4, 0x91, 0x92, 0x93}), 4},
                                               {bytes({0xe2, 0x82}), 1}};
  for (const auto& [part, count] : parts) {
    std::string same;
    for (int i = 0; i < count; ++i) same += replaced;
    section.check("replaced as Unicode says",
                  model.tokenizer().encode("a" + part + "b", lenient()) == model.tokenizer().encode("a" + same + "b"));
  }
}

void check_characters(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("text: characters of all planes");
  const clipon::text::Tokenizer& tokenizer = probe.model().tokenizer();
  const char32_t step = settings.full ? 7 : 331;
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : step) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string text = "a ";
    clipon::text::append_utf8(text, c);
    text += "t";
    section.works(std::to_string(static_cast<unsigned>(c)), kTextLimits, [&] {
      const auto ids = tokenizer.encode(text);
      (void)tokenizer.decode(ids);
      for (const std::int32_t id : ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.config().tokens.size()) throw std::logic_error("id");
      }
    });
  }
}

void check_corners(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("text: corners");
  const clipon::Model& model = probe.model();  // 16 tokens
  using namespace std::string_literals;
  for (const std::string& text : {""s,
                                  " "s,
                                  "\n\t"s,
                                  "\0"s,
                                  "a\0b"s,
                                  "\xef\xbb\xbf"
                                  "a"s,
                                  "<|startoftext|>"s,
                                  "<|endoftext|>"s,
                                  "<|endoftext|> <|endoftext|>"s,
                                  "&amp;amp;amp;amp;"s,
                                  "&#0;&#x110000;&#xd800;"s,
                                  "&#99999999999999999999;"s,
                                  "&#x;&#;&;&"s,
                                  "\x1b[31m"s,
                                  "\x1b[;;;"s,
                                  "%s%n%x"s,
                                  "\xe2\x80\xae"
                                  "abc"s,
                                  "&lt;b&gt;"s,
                                  "\xce\xa3"s,
                                  "a\xce\xa3"s,
                                  "\xc4\xb0"s,
                                  "'s't're've'm'll'd"s}) {
    section.works("'" + text + "'", kTextLimits, [&] { (void)model.embed_text(text, lenient()); });
    section.any("'" + text + "'", kTextLimits, [&] { (void)model.embed_text(text); });
  }
  std::string words;
  for (int n = 1; n <= 40; ++n) {
    words += "a ";
    if (n <= 14) {
      section.works(std::to_string(n) + " tokens", kTextLimits, [&] { (void)model.embed_text(words); });
    } else {
      section.refused(std::to_string(n) + " tokens", kTextLimits, {ErrorCode::text_too_long},
                      [&] { (void)model.embed_text(words); });
    }
    section.works(std::to_string(n) + " tokens, cut", kTextLimits, [&] { (void)model.embed_text(words, lenient()); });
  }
  TokenizeOptions limited = lenient();
  limited.max_bytes = 10;
  section.works("10 bytes", kTextLimits, [&] { (void)model.embed_text("0123456789", limited); });
  section.refused("11 bytes", kTextLimits, {ErrorCode::text_too_long},
                  [&] { (void)model.embed_text("0123456789a", limited); });
}

void check_lengths(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("text: long ones");
  const clipon::text::Tokenizer& tokenizer = probe.model().tokenizer();
  const std::size_t megabytes = settings.full ? 10 : 2;
  const std::size_t length = megabytes << 20;
  // generous, for machines that share their caches with others; far below anything quadratic
  const Limits linear = {0.25 * static_cast<double>(megabytes), length * 90};
  const auto repeat = [&](const std::string& part) {
    std::string text;
    while (text.size() < length) text += part;
    return text;
  };
  std::string mixed;
  std::mt19937 random(2);
  while (mixed.size() < 4096) mixed += static_cast<char>('a' + random() % 26);
  for (const std::string& part : std::initializer_list<std::string>{"a",
                                                                    "th",
                                                                    "at",
                                                                    "cat ",
                                                                    " ",
                                                                    "\n",
                                                                    "0",
                                                                    "!",
                                                                    "'",
                                                                    "&",
                                                                    "&amp;",
                                                                    "&amp",
                                                                    "amp;",
                                                                    "&#x26;",
                                                                    "&#38",
                                                                    "<",
                                                                    "<|endoftext|>",
                                                                    "<|start",
                                                                    "\xc3\xa9",
                                                                    "e\xcc\x81",
                                                                    "\xcc\x81\xcc\xa7",
                                                                    "\xe1\x84\x80\xe1\x85\xa1",
                                                                    "\xea\xb0\x81",
                                                                    "\xf0\x9f\x91\xa9\xe2\x80\x8d",
                                                                    "\xce\xa3",
                                                                    "\xce\xa3.",
                                                                    "\xef\xac\x83",
                                                                    "\xef\xbc\xa1",
                                                                    "\x1b[",
                                                                    "\x1b[1;",
                                                                    "\x1b[1m",
                                                                    "\xe2\x80\x9c",
                                                                    "\r",
                                                                    "\xc2\x85",
                                                                    "\xe2\x80\xa8",
                                                                    "&CounterClockwiseContourIntegral",
                                                                    "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                                                    mixed}) {
    const std::string text = repeat(part);
    section.works(part.substr(0, 20) + " for " + std::to_string(megabytes) + " MB", linear,
                  [&] { (void)tokenizer.tokenize(text, lenient()); });
  }
  // whose vocabulary has merges of punctuation
  const clipon::Model demo = clipon::Model::load(settings.source_dir + "/models/clipon-demo.gguf");
  for (const std::size_t bytes : {1'528'000u, 1'686'000u, 2'000'000u}) {  // the first ones just fill a doubled buffer
    for (const char* part : {".", "ha"}) {
      std::string text = repeat(part);
      text.resize(bytes);
      section.works(part + std::string(" for ") + std::to_string(bytes) + " bytes", {linear.seconds, bytes * 90},
                    [&] { (void)demo.tokenizer().tokenize(text, lenient()); });
    }
  }
  // what ftfy undoes one level of at a time: "&amp;amp;amp;..." in one line, and in many
  section.works("nested entities", linear,
                [&] { (void)tokenizer.tokenize(std::string("&").append(repeat("amp;")), lenient()); });
  std::string line = "&";
  for (int i = 0; i < 1000; ++i) line += "amp;";
  section.works("lines of nested entities", linear, [&] { (void)tokenizer.tokenize(repeat(line + "\n"), lenient()); });
  section.check("a thousand levels of a short text are undone",
                tokenizer.encode(line + "lt;") == tokenizer.encode("<"));
  std::string marks = "a";
  for (int i = 0; i < 10000; ++i) marks += i % 2 == 0 ? "\xcc\x81" : "\xcc\xa7";
  section.works("10,000 combining marks", kTextLimits, [&] { (void)tokenizer.tokenize(marks, lenient()); });
  section.refused("16 MB and a byte", {0.01, 1 << 16}, {ErrorCode::text_too_long},
                  [&, text = std::string((16u << 20) + 1, 'a')] { (void)tokenizer.tokenize(text, lenient()); });
  std::vector<std::string> many(settings.full ? 1'000'000 : 20'000, "a cat");
  section.works("many texts", {60.0, many.size() * 400 + (std::size_t{8} << 20)}, [&] {
    const clipon::Matrix rows = probe.model().embed_texts(many);
    for (Eigen::Index i = 0; i < rows.rows(); i += 997) {
      if (rows.row(i) != rows.row(0)) throw std::logic_error("a row differs");
    }
  });
}

}  // namespace

void check_texts(const Settings& settings, std::vector<Section>& table) {
  table.reserve(8);
  const Probe probe(support::tiny_model().bytes());
  check_encoding(table, probe);
  check_characters(settings, table, probe);
  check_corners(table, probe);
  check_lengths(settings, table, probe);
  table.back().check("the probe is unchanged", probe.unchanged());
}

}  // namespace trust

#include "support.hpp"

using namespace clipon;

TEST_CASE("a message is one printable line of UTF-8, whatever names it holds") {
  const auto what = [](const std::string& message) { return std::string(Error(ErrorCode::io, message).what()); };
  CHECK(what("tensor 'caf\xc3\xa9': 1") == "tensor 'caf\xc3\xa9': 1");
  CHECK(what("a\nb\t\x1b[31m\x7f") == "a\\x0ab\\x09\\x1b[31m\\x7f");
  CHECK(what(std::string("a\0b", 3)) == "a\\x00b");
  CHECK(what("\xff\xe2\x82") == "\\xff\\xe2\\x82");
  CHECK(what("\xe2\x80\xae"
             "abc\xe2\x80\xa8\xc2\x85") ==
        "\\xe2\\x80\\xae"
        "abc\\xe2\\x80\\xa8\\xc2\\x85");
  CHECK(what("\xe2\x81\xa6"
             "abc\xe2\x81\xa9") ==
        "\\xe2\\x81\\xa6"
        "abc\\xe2\\x81\\xa9");  // isolates turn the direction too
  CHECK(what("\xef\xbb\xbf~\xc2\x80\xc2\x9f") == "\\xef\\xbb\\xbf~\\xc2\\x80\\xc2\\x9f");
  for (const char* beside :
       {"\xc2\xa0", "\xe2\x80\xa7", "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa", "\xef\xbb\xbe"}) {
    CHECK(what(beside) == beside);
  }
  CHECK(what(what("a\nb")) == what("a\nb"));
  const std::string shortened = what("begin " + std::string(1 << 20, 'x') + " end");
  CHECK(shortened.size() < 1100);
  CHECK(shortened.starts_with("begin x"));
  CHECK(shortened.ends_with("x end"));
  const std::string longest = std::string(512, 'a') + std::string(512, 'b');
  CHECK(what(longest) == longest);
  CHECK(what(longest + "c") == std::string(512, 'a') + " ... " + std::string(511, 'b') + "c");
  CHECK(what(std::string(513, 'a') + "\xf0\x9f\x8d\x95" + std::string(509, 'b')) ==
        std::string(512, 'a') + " ... " + std::string(509, 'b'));  // no part of a character
}

TEST_CASE("a code's name is that of its enumerator") {
#define NAMED(code) CHECK(std::string(to_string(ErrorCode::code)) == #code)
  NAMED(io);
  NAMED(truncated);
  NAMED(bad_magic);
  NAMED(bad_version);
  NAMED(limit_exceeded);
  NAMED(missing_key);
  NAMED(bad_type);
  NAMED(bad_value);
  NAMED(bad_shape);
  NAMED(bad_offset);
  NAMED(duplicate);
  NAMED(not_finite);
  NAMED(checksum_mismatch);
  NAMED(image_unsupported);
  NAMED(image_corrupt);
  NAMED(image_too_large);
  NAMED(invalid_utf8);
  NAMED(text_too_long);
  NAMED(invalid_argument);
  NAMED(unsupported);
#undef NAMED
}

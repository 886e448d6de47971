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
  CHECK(what(what("a\nb")) == what("a\nb"));
  const std::string shortened = what("begin " + std::string(1 << 20, 'x') + " end");
  CHECK(shortened.size() < 1100);
  CHECK(shortened.starts_with("begin x"));
  CHECK(shortened.ends_with("x end"));
}

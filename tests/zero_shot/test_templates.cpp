// Templates and label files.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support.hpp"

using namespace clipon;

TEST_CASE("every {} becomes the label, and nothing else changes") {
  CHECK(fill_template("{}", "cat") == "cat");
  CHECK(fill_template("a {} and a {}.", "cat") == "a cat and a cat.");
  CHECK(fill_template("{} {", "{}") == "{} {");
  CHECK(fill_template("none", "cat") == "none");
}

TEST_CASE("built-in sets have a place for the label in every sentence") {
  for (const char* name : {"none", "plain", "ensemble"}) {
    for (const std::string& text : template_set(name)) CHECK(text.find("{}") != std::string::npos);
  }
  CHECK(template_set("ensemble").size() == 8);
  CHECK(template_set("none") == std::vector<std::string>{"{}"});
  CHECK(template_set("plain") == std::vector<std::string>{"a photo of a {}."});
  CHECK(support::code_of([] { (void)template_set("other"); }) == ErrorCode::invalid_argument);
}

TEST_CASE("files of templates and of labels with synonyms") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("clipon-lines-" + std::to_string(::getpid()))).string();
  const auto write = [&](const std::string& text) { std::ofstream(path, std::ios::binary | std::ios::trunc) << text; };
  write("a {}.\r\n\nthe {}");
  CHECK(read_templates(path) == std::vector<std::string>{"a {}.", "the {}"});
  for (const char* wrong : {"a {}.\nno place\n", "a {cat}"}) {
    write(wrong);
    CHECK(support::code_of([&] { (void)read_templates(path); }) == ErrorCode::invalid_argument);
  }
  write("");
  CHECK(support::code_of([&] { (void)read_templates(path); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)read_labels(path); }) == ErrorCode::invalid_argument);
  write("cat \t kitten\ttom cat \ndog\n");
  const auto labels = read_labels(path);
  REQUIRE(labels.size() == 2);
  CHECK(labels[0].name == "cat");
  CHECK(labels[0].synonyms == std::vector<std::string>{"kitten", "tom cat"});
  CHECK(labels[1].name == "dog");
  CHECK(labels[1].synonyms.empty());
  std::remove(path.c_str());
  CHECK(support::code_of([&] { (void)read_labels(path); }) == ErrorCode::io);
}

// What GgufWriter writes, Gguf reads.
#include <unistd.h>

#include <clipon/format/gguf_writer.hpp>
#include <clipon/format/mapped_file.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "support.hpp"

using namespace clipon;

TEST_CASE("a written file has its keys and tensors, of sizes that need padding and of others") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("clipon-writer-" + std::to_string(::getpid()))).string();
  const std::vector<float> three = {1, 2, 3};
  const std::vector<float> eight = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::string> words = {"a", "", "b c"};
  const std::vector<std::uint32_t> counts = {7, 4'000'000'000u};
  format::GgufWriter writer("clipon.test");
  writer.u32("u32", 4'000'000'000u);
  writer.f64("f64", 0.1);
  writer.boolean("yes", true);
  writer.boolean("no", false);
  writer.strings("words", words);
  writer.numbers("counts", counts);
  writer.tensor("first", {1, 3}, three);
  writer.tensor("second", {2, 4}, eight);
  writer.tensor("third", {3}, three);
  writer.write(path, 1 << 20);
  {
    const format::MappedFile bytes(path);
    const format::Gguf file(bytes.bytes(), {});
    CHECK(file.strict());
    CHECK(file.get<std::string_view>("general.architecture") == "clipon.test");
    CHECK(file.get<std::uint64_t>("u32") == 4'000'000'000u);
    CHECK(file.get<double>("f64") == 0.1);
    CHECK(file.get<bool>("yes"));
    CHECK_FALSE(file.get<bool>("no"));
    CHECK(file.metadata().strings("words") == std::vector<std::string>{"a", "", "b c"});
    CHECK(file.metadata().numbers("counts") == std::vector<std::uint64_t>{7, 4'000'000'000u});
    format::Weights weights(file, {});
    CHECK(weights.get_vector("first", {1, 3}) == three);
    CHECK(weights.get_vector("second", {2, 4}) == eight);
    CHECK(weights.get_vector("third", {3}) == three);
    CHECK_NOTHROW(weights.finish());
  }
  std::remove(path.c_str());
}

TEST_CASE("what a reader would refuse is not written") {
  format::GgufWriter writer("clipon.test");
  const LoadOptions limits;
  const std::vector<std::string> long_word = {std::string(limits.max_string_bytes + 1, 'a')};
  const std::vector<std::uint32_t> long_array(limits.max_array_length + 1);
  CHECK_NOTHROW(writer.string("longest", std::string(limits.max_string_bytes, 'a')));
  CHECK(support::code_of([&] { writer.string("longer", long_word[0]); }) == ErrorCode::limit_exceeded);
  CHECK(support::code_of([&] { writer.strings("words", long_word); }) == ErrorCode::limit_exceeded);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("clipon-limit-" + std::to_string(::getpid()))).string();
  for (const std::uint64_t less : {std::uint64_t{1}, std::uint64_t{0}}) {
    format::GgufWriter small("clipon.test");
    constexpr std::uint64_t bytes = 160;
    CAPTURE(less);
    if (less != 0) {
      CHECK_THROWS_WITH_AS(small.write(path, bytes - less),
                           (path + ": expected to write at most 159 bytes, found 160").c_str(), Error);
      CHECK_FALSE(std::filesystem::exists(path));
    } else {
      small.write(path, bytes);
      CHECK(std::filesystem::file_size(path) == bytes);
    }
  }
  std::remove(path.c_str());
  CHECK(support::code_of([&] { writer.numbers("counts", long_array); }) == ErrorCode::limit_exceeded);
}

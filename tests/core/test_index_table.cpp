#include <clipon/core/index_table.hpp>
#include <string>
#include <vector>

#include "support.hpp"

using clipon::IndexTable;

namespace {

struct Words {
  std::vector<std::string> words;
  IndexTable table;

  explicit Words(std::size_t (*hash)(std::size_t)) : hash_(hash) {}
  void add(std::size_t number) {
    table.add(hash_(number), static_cast<std::int32_t>(words.size()));
    words.push_back(std::to_string(number));
  }
  [[nodiscard]] std::int32_t find(std::size_t number) const {
    return table.find(hash_(number),
                      [&](std::int32_t i) { return words[static_cast<std::size_t>(i)] == std::to_string(number); });
  }

 private:
  std::size_t (*hash_)(std::size_t);
};

}  // namespace

TEST_CASE("a table of indices finds each element and no other, however many share a hash or a place") {
  std::size_t (*const hashes[])(std::size_t) = {
      [](std::size_t n) { return n * std::size_t{0x9e3779b97f4a7c15u}; },
      [](std::size_t) { return std::size_t{0xffffffffu}; },  // one for all, at the table's end
      [](std::size_t n) { return n << 20; },                 // one place for all while the table is small
      [](std::size_t n) { return (n << 32) | 7; },           // the bits that are kept are the same
  };
  for (std::size_t h = 0; h < std::size(hashes); ++h) {
    for (const bool reserved : {false, true}) {
      CAPTURE(h);
      CAPTURE(reserved);
      Words words(hashes[h]);
      CHECK(words.find(0) == IndexTable::kNone);
      if (reserved) words.table.reserve(500);
      bool right = true;
      for (std::size_t n = 0; n < 500; ++n) {
        right = right && words.find(n) == IndexTable::kNone;
        words.add(n);
        right = right && words.find(n) == static_cast<std::int32_t>(n) &&
                words.find(n / 2) == static_cast<std::int32_t>(n / 2);
      }
      for (std::size_t n = 0; n < 1000; ++n) {
        right = right && words.find(n) == (n < 500 ? static_cast<std::int32_t>(n) : IndexTable::kNone);
      }
      CHECK(right);
    }
  }
}

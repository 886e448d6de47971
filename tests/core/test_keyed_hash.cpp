#include <algorithm>
#include <clipon/core/keyed_hash.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

namespace {

// How many places an element stands behind the one that its hash names, on average, with linear probing in a table that
// is half full at most.
template <class KeyOf>
double mean_distance(const clipon::KeyedHash& hash, std::size_t n, const KeyOf& key_of) {
  std::size_t size = 1;
  while (size < 2 * n) size *= 2;
  std::vector<bool> taken(size);
  std::size_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t at = hash(key_of(i)) & (size - 1);
    for (; taken[at]; at = (at + 1) & (size - 1)) ++sum;
    taken[at] = true;
  }
  return static_cast<double>(sum) / static_cast<double>(n);
}

}  // namespace

TEST_CASE("hashes of keys that differ in a few places are as scattered as any, whatever the secret") {
  constexpr std::size_t n = 20'000;
  double worst = 0.0;
  const auto note = [&](double distance) { worst = std::max(worst, distance); };
  for (int secret = 0; secret < 300; ++secret) {
    const clipon::KeyedHash hash;
    note(mean_distance(hash, n, [](std::size_t i) { return std::uint64_t{i}; }));
    note(mean_distance(hash, n, [](std::size_t i) { return (std::uint64_t{i} << 32) | 7; }));
    note(mean_distance(hash, n, [](std::size_t i) { return (std::uint64_t{i} << 32) | i; }));
    std::string text = "abcd____efgh____";
    const auto with_digits = [&](std::size_t at, std::size_t i) {
      text.replace(at, 4, std::string(4, '0'));
      for (std::size_t d = 0; d < 4; ++d, i /= 16) text[at + d] = static_cast<char>('0' + i % 16);
      return std::string_view(text);
    };
    note(mean_distance(hash, n, [&](std::size_t i) { return with_digits(4, i); }));
    note(mean_distance(hash, n, [&](std::size_t i) { return with_digits(12, i); }));
    note(mean_distance(hash, n, [&](std::size_t i) { return with_digits(12, i).substr(8); }));
  }
  CAPTURE(worst);
  CHECK(worst < 0.5);  // random places: (1 / (1 - a) - 1) / 2 = 0.22 at a = 0.305, full as 20,000 of 65,536 are
}

TEST_CASE("a text's hash depends on all of its bytes and on their number") {
  const clipon::KeyedHash hash;
  std::vector<std::size_t> found;
  for (std::size_t size = 0; size <= 20; ++size) {
    std::string text(size, '\0');
    found.push_back(hash(std::string_view(text)));
    for (char& letter : text) {
      letter = 'x';
      found.push_back(hash(std::string_view(text)));
      letter = '\0';
    }
  }
  std::sort(found.begin(), found.end());
  CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
}

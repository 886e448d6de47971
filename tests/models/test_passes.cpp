#include <clipon/models/passes.hpp>
#include <clipon/models/text_batch.hpp>
#include <numeric>

#include "support.hpp"

using namespace clipon;
using namespace clipon::models;

namespace {

index_t rows_of(const std::vector<index_t>& rows, const Pass& pass) {
  return std::accumulate(rows.begin() + pass.first, rows.begin() + pass.last, index_t{0});
}

std::vector<index_t> sizes(const Passes& all) {
  std::vector<index_t> counts;
  for (const Pass& pass : all.passes) counts.push_back(pass.count());
  return counts;
}

Passes pictures(std::size_t n, index_t tokens, index_t threads) {  // of a ViT, 150 rows a pass, 25 a thread at least
  return divide(std::vector<index_t>(n, tokens), {150, 25}, threads);
}

}  // namespace

TEST_CASE("passes hold each item once, in order, and no more rows than is meant") {
  support::Random random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<index_t> rows(static_cast<std::size_t>(random.whole(0, 70)));
    for (index_t& r : rows) r = random.whole(1, 90);
    const PassRows limits{random.whole(1, 200), random.whole(1, 100)};
    const index_t threads = random.whole(1, 20);
    const Passes all = divide(rows, limits, threads);
    const index_t total = std::accumulate(rows.begin(), rows.end(), index_t{0});
    CAPTURE(round);
    index_t next = 0;
    for (const Pass& pass : all.passes) {
      REQUIRE(pass.first == next);
      REQUIRE(pass.last > pass.first);
      REQUIRE(rows_of(rows, pass) < limits.most + 90);  // a pass ends with the item that fills it
      next = pass.last;
    }
    REQUIRE(next == static_cast<index_t>(rows.size()));
    if (!all.alone) continue;
    REQUIRE(threads > 1);
    REQUIRE(total >= threads * limits.least);
    const auto passes = static_cast<index_t>(all.passes.size());
    REQUIRE(passes >= threads);
    for (index_t t = 0; t < threads; ++t) {  // what each thread begins with
      index_t own = 0;
      for (index_t p = t * passes / threads; p < (t + 1) * passes / threads; ++p) {
        own += rows_of(rows, all.passes[static_cast<std::size_t>(p)]);
      }
      REQUIRE(static_cast<double>(own * threads) <= 1.1 * static_cast<double>(total));
    }
  }
}

TEST_CASE("threads compute alone where all have as much to do, else together") {
  using Sizes = std::vector<index_t>;
  CHECK(sizes(pictures(32, 50, 2)) == Sizes{3, 3, 2, 3, 3, 2, 3, 3, 2, 3, 3, 2});
  CHECK(pictures(32, 50, 2).alone);
  CHECK(sizes(pictures(2, 50, 2)) == Sizes{1, 1});
  CHECK(pictures(2, 50, 2).alone);
  CHECK(sizes(pictures(3, 50, 2)) == Sizes{3});  // one thread would wait for two pictures of the other
  CHECK_FALSE(pictures(3, 50, 2).alone);
  CHECK(sizes(pictures(8, 50, 16)) == Sizes{3, 3, 2});
  CHECK_FALSE(pictures(8, 50, 16).alone);
  CHECK(sizes(pictures(4, 257, 2)) == Sizes{1, 1, 1, 1});
  CHECK(pictures(4, 257, 2).alone);
  CHECK(sizes(pictures(4, 10, 2)) == Sizes{4});  // 20 rows a thread: too few to read all weights for
  CHECK_FALSE(pictures(4, 10, 2).alone);
  CHECK(pictures(2, 25, 2).alone);
  CHECK(sizes(pictures(5, 10, 16)) == Sizes{5});
  CHECK(sizes(pictures(6, 50, 1)) == Sizes{3, 3});
  CHECK_FALSE(pictures(6, 50, 1).alone);
  CHECK(pictures(0, 50, 2).passes.empty());
}

TEST_CASE("texts share the rows of what they begin with like the text before; the longest is counted whole") {
  const std::vector<std::vector<std::int32_t>> tokens = {{1, 5, 9}, {1, 5, 6, 7, 9}, {1, 5, 6, 7, 9}, {1, 6, 7, 9}};
  const std::vector<TokenSpan> texts(tokens.begin(), tokens.end());
  const TextBatch sharing(texts, true);
  CHECK(sharing.shared(0) == 0);
  CHECK(sharing.shared(1) == 2);
  CHECK(sharing.shared(2) == 5);
  CHECK(sharing.shared(3) == 1);
  CHECK(sharing.tokens() == 17);
  CHECK(sharing.rows() == 9);
  CHECK(sharing.longest() == 5);
  const TextBatch alone(texts, false);
  CHECK(alone.shared(2) == 0);
  CHECK(alone.rows() == 17);
  CHECK(alone.longest() == 5);
}

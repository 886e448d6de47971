// Integers: every ISA must give the bytes of the definition.
#include <clipon/kernels/reference.hpp>

#include "support.hpp"

using namespace clipon;
using namespace clipon::kernels;

// One of `taps` coefficients: sums beyond 0 .. 255 occur, and stay below 255 * 2^23, which 32 bits hold.  Pillow's are
// below 2^22 together, but for what a bicubic filter overshoots.
static std::int32_t coefficient(support::Random& random, index_t taps) {
  return static_cast<std::int32_t>(random.whole(-400000, 1000000) * 8 / std::max<index_t>(8, taps));
}

TEST_CASE("resize_rows gives the definition's bytes") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(21);
    for (int round = 0; round < 40; ++round) {
      const index_t channels = random.whole(3, 4);
      const index_t outputs = random.whole(1, 40);
      const index_t taps = 4 * random.whole(1, 9);
      const index_t width = taps + 50;
      const auto pixels = random.bytes(4 * width * channels + 64);
      std::vector<std::int32_t> first(static_cast<std::size_t>(outputs));
      std::vector<std::int32_t> used(first.size());
      std::vector<std::int16_t> high(static_cast<std::size_t>(outputs * taps));
      std::vector<std::int16_t> low(high.size());
      for (index_t x = 0; x < outputs; ++x) {
        const auto i = static_cast<std::size_t>(x);
        first[i] = static_cast<std::int32_t>(random.whole(0, 50));
        used[i] = static_cast<std::int32_t>(random.whole(1, taps));
        for (index_t t = 0; t < used[i]; ++t) {
          const std::int32_t c = coefficient(random, used[i]);
          high[static_cast<std::size_t>(x * taps + t)] = static_cast<std::int16_t>(c >> kResizeLowBits);
          low[static_cast<std::size_t>(x * taps + t)] = static_cast<std::int16_t>(c & ((1 << kResizeLowBits) - 1));
        }
      }
      const index_t written = 2 * outputs * channels + ResizeRows::kPairTail;
      const index_t stride = written + random.whole(0, 3);
      std::vector<std::uint16_t> out(static_cast<std::size_t>(2 * stride), 777);
      ResizeRows job;
      for (index_t r = 0; r < 4; ++r) job.rows[r] = pixels.data() + r * width * channels;
      job.channels = channels;
      job.outputs = outputs;
      job.taps = taps;
      job.first = first.data();
      job.used = used.data();
      job.high = high.data();
      job.low = low.data();
      job.out = out.data();
      job.out_stride = stride;
      table.resize_rows(job);
      for (index_t r = 0; r < 4; ++r) {
        for (index_t x = 0; x < outputs; ++x) {
          for (index_t c = 0; c < channels; ++c) {
            const auto i = static_cast<std::size_t>(x);
            std::vector<std::uint8_t> taken;
            for (index_t t = 0; t < used[i]; ++t) taken.push_back(job.rows[r][(first[i] + t) * channels + c]);
            const auto expected = reference::resized_byte(taken, high.data() + x * taps, low.data() + x * taps);
            const index_t at = r / 2 * stride + 2 * (x * channels + c) + r % 2;
            REQUIRE(int{out[static_cast<std::size_t>(at)]} == int{expected});
          }
        }
      }
      for (index_t pair = 0; pair < 2; ++pair) {
        for (index_t i = written; i < stride; ++i) REQUIRE(out[static_cast<std::size_t>(pair * stride + i)] == 777);
      }
    }
  });
}

TEST_CASE("resize_columns gives the definition's bytes") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(22);
    for (int round = 0; round < 40; ++round) {
      const index_t n = random.whole(1, 300);
      const index_t count = random.whole(1, 12);
      std::vector<std::uint16_t> words;
      for (const std::uint8_t byte : random.bytes(count * 2 * n)) words.push_back(byte);
      std::vector<const std::uint16_t*> pairs;
      for (index_t t = 0; t < count; ++t) pairs.push_back(words.data() + t * 2 * n);
      std::vector<std::int16_t> high;
      std::vector<std::int16_t> low;
      for (index_t t = 0; t < 2 * count; ++t) {
        const std::int32_t c = coefficient(random, 2 * count);
        high.push_back(static_cast<std::int16_t>(c >> kResizeLowBits));
        low.push_back(static_cast<std::int16_t>(c & ((1 << kResizeLowBits) - 1)));
      }
      std::vector<std::uint8_t> out(static_cast<std::size_t>(n + 1), 7);
      table.resize_columns({pairs.data(), n, count, high.data(), low.data(), out.data()});
      for (index_t i = 0; i < n; ++i) {
        std::vector<std::uint8_t> taken;  // a pair's two rows are two taps
        for (const std::uint16_t* pair : pairs) {
          taken.push_back(static_cast<std::uint8_t>(pair[2 * i]));
          taken.push_back(static_cast<std::uint8_t>(pair[2 * i + 1]));
        }
        REQUIRE(int{out[static_cast<std::size_t>(i)]} == int{reference::resized_byte(taken, high.data(), low.data())});
      }
      REQUIRE(int{out.back()} == 7);
    }
  });
}

// Integers: every ISA must give the bytes of the definition.
#include <clipon/kernels/reference.hpp>

#include "support.hpp"

using namespace clipon;
using namespace clipon::kernels;

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
        for (index_t t = 0; t < used[i]; ++t) {  // coefficients from about -0.1 to 0.25: sums beyond 0..255 occur
          const auto c = static_cast<std::int32_t>(random.whole(-400000, 1000000));
          high[static_cast<std::size_t>(x * taps + t)] = static_cast<std::int16_t>(c >> kResizeLowBits);
          low[static_cast<std::size_t>(x * taps + t)] = static_cast<std::int16_t>(c & ((1 << kResizeLowBits) - 1));
        }
      }
      const index_t stride = outputs * channels + 3;
      std::vector<std::uint8_t> out(static_cast<std::size_t>(4 * stride), 7);
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
            REQUIRE(int{out[static_cast<std::size_t>(r * stride + x * channels + c)]} == int{expected});
          }
        }
        for (index_t c = outputs * channels; c < stride; ++c)
          REQUIRE(int{out[static_cast<std::size_t>(r * stride + c)]} == 7);
      }
    }
  });
}

TEST_CASE("resize_columns gives the definition's bytes") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(22);
    for (int round = 0; round < 40; ++round) {
      const index_t n = random.whole(1, 100);
      const index_t taps = 2 * random.whole(1, 12);
      const auto pixels = random.bytes(taps * n);
      std::vector<const std::uint8_t*> rows;
      std::vector<std::int16_t> high;
      std::vector<std::int16_t> low;
      for (index_t t = 0; t < taps; ++t) {
        rows.push_back(pixels.data() + t * n);
        const auto c = static_cast<std::int32_t>(random.whole(-400000, 1000000));
        high.push_back(static_cast<std::int16_t>(c >> kResizeLowBits));
        low.push_back(static_cast<std::int16_t>(c & ((1 << kResizeLowBits) - 1)));
      }
      std::vector<std::uint8_t> out(static_cast<std::size_t>(n));
      table.resize_columns({rows.data(), n, taps, high.data(), low.data(), out.data()});
      for (index_t i = 0; i < n; ++i) {
        std::vector<std::uint8_t> taken;
        for (const auto* row : rows) taken.push_back(row[i]);
        REQUIRE(int{out[static_cast<std::size_t>(i)]} == int{reference::resized_byte(taken, high.data(), low.data())});
      }
    }
  });
}

// What every table's attention must show: the definition's answer, within rounding.
#pragma once

#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "support.hpp"

namespace support {

// Scores up to 8 x 0.125 x 8 known to 64 epsilon of f32, weights so to 1e-5 relative, values below 5.  In bf16 what is
// read is exact, so that the weights' rounding to 8 bits alone is added: 2^-9 of sum |weight value|, which is below 5.
constexpr double kAttentionTolerance[] = {2e-5, 2e-5 + 5.0 / 512};

/// All lengths around the tiles, causal or not, f32 and bf16, rows in any order.
inline void check_attention(const clipon::kernels::KernelTable& table) {
  using namespace clipon::kernels;
  using clipon::DataType;
  using clipon::index_t;
  Random random(12);
  for (const index_t keys : {1, 2, 7, 8, 15, 16, 17, 47, 48, 49, 50, 77, 97, 200}) {
    for (int variant = 0; variant < 16; ++variant) {
      const bool causal = (variant & 1) != 0;
      const bool bf16 = (variant & 2) != 0;
      const index_t queries = (variant & 4) != 0 ? 1 : keys;
      const index_t head_width = keys % 2 == 0 ? 64 : keys % 3 == 0 ? 40 : 37;
      const index_t stride = 3 * head_width + 1;
      const auto q = random.normals(queries * stride);
      const auto kv = random.normals(keys * stride);
      const auto rounded = [](const std::vector<float>& x) {
        std::vector<std::uint16_t> halves;
        for (const float v : x) halves.push_back(clipon::float_to_bf16(v));
        halves.push_back(0);  // the pair of an odd width's last element
        return halves;
      };
      const auto q_halves = rounded(q);
      const auto kv_halves = rounded(kv);
      const DataType type = bf16 ? DataType::bf16 : DataType::f32;
      std::vector<float> scratch(static_cast<std::size_t>(table.attention_scratch(keys, head_width)),
                                 std::numeric_limits<float>::quiet_NaN());  // seen if read before it is written
      std::vector<float> found(static_cast<std::size_t>(queries * head_width));
      std::vector<float> expected(found.size());
      AttentionHead head;
      head.q = {bf16 ? static_cast<const void*>(q_halves.data()) : q.data(), stride, type};
      const Operand key_value{bf16 ? static_cast<const void*>(kv_halves.data()) : kv.data(), stride, type};
      head.k = key_value;
      head.v = key_value.from(0, head_width);
      std::vector<index_t> key_rows(static_cast<std::size_t>(keys));
      std::iota(key_rows.rbegin(), key_rows.rend(), index_t{0});
      if ((variant & 8) != 0) head.key_rows = key_rows.data();
      head.queries = queries;
      head.keys = keys;
      head.head_width = head_width;
      head.causal = causal;
      head.scale = 0.125f;
      head.scratch = scratch.data();
      head.out = {expected.data(), head_width};
      reference::attention_head(head);
      head.out = {found.data(), head_width};
      table.attention_head(head);
      for (std::size_t i = 0; i < found.size(); ++i) {
        CAPTURE(keys);
        CAPTURE(variant);
        REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= kAttentionTolerance[bf16 ? 1 : 0]);
      }
    }
  }
}

/// Scores of 1e12 and more, as weights that nobody trained can give: the key with the greatest has all the weight.
inline void check_large_scores(const clipon::kernels::KernelTable& table) {
  using namespace clipon::kernels;
  using clipon::DataType;
  using clipon::index_t;
  constexpr index_t keys = 50;
  constexpr index_t width = 64;
  for (const DataType type : {DataType::f32, DataType::bf16}) {
    std::vector<float> q(keys * width);
    std::vector<float> k(q.size());
    std::vector<float> v(q.size());
    for (index_t i = 0; i < keys * width; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const index_t row = i / width;
      q[at] = 3.1e5f * static_cast<float>(1 + row);  // query r: each score is q k width, greatest for the last key
      k[at] = 7.3e5f * static_cast<float>(1 + row);
      v[at] = static_cast<float>(row) - 0.25f * static_cast<float>(i % width);
    }
    std::vector<std::uint16_t> halves[3];
    const std::vector<float>* floats[] = {&q, &k, &v};
    Operand operands[3];
    for (std::size_t i = 0; i < 3; ++i) {
      for (const float x : *floats[i]) halves[i].push_back(clipon::float_to_bf16(x));
      const void* data = type == DataType::f32 ? static_cast<const void*>(floats[i]->data()) : halves[i].data();
      operands[i] = {data, width, type};
    }
    std::vector<float> scratch(static_cast<std::size_t>(table.attention_scratch(keys, width)));
    std::vector<float> found(q.size());
    AttentionHead head;
    head.q = operands[0];
    head.k = operands[1];
    head.v = operands[2];
    head.queries = keys;
    head.keys = keys;
    head.head_width = width;
    head.scale = 0.125f;
    head.scratch = scratch.data();
    head.out = {found.data(), width};
    table.attention_head(head);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::size_t last = (keys - 1) * width + i % width;
      // 2^0 is known to 2^-13 in bf16, and is what the weights' sum is, too
      REQUIRE(found[i] == doctest::Approx(type == DataType::f32 ? v[last] : clipon::bf16_to_float(halves[2][last]))
                              .epsilon(type == DataType::f32 ? 1e-6 : 1.0 / 4096));
    }
  }
}

}  // namespace support

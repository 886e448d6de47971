// What every table's attention must show: the definition's answer, within rounding.
#pragma once

#include <algorithm>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "support.hpp"

namespace support {

// Scores up to 8 x 0.125 x 8 known to 64 epsilon of f32, weights so to 1e-5 relative, values below 5.  In bf16 what is
// read is exact, so that the weights' rounding to 8 bits alone is added: 2^-9 of sum |weight value|, which is below 5.
constexpr double kAttentionTolerance[] = {2e-5, 2e-5 + 5.0 / 512};

/// A head's inputs in either type, and memory for it.
struct AttentionInputs {
  /// q [queries, stride]; key_value [keys, stride]: a key, then its value, head_width numbers each.
  AttentionInputs(const clipon::kernels::KernelTable& table, clipon::DataType type, const std::vector<float>& q,
                  const std::vector<float>& key_value, clipon::index_t stride, clipon::index_t head_width)
      : q_halves_(rounded(q)), key_value_halves_(rounded(key_value)) {
    const bool bf16 = type == clipon::DataType::bf16;
    head.queries = static_cast<clipon::index_t>(q.size()) / stride;
    head.keys = static_cast<clipon::index_t>(key_value.size()) / stride;
    head.head_width = head_width;
    head.scale = 0.125f;
    head.q = {bf16 ? static_cast<const void*>(q_halves_.data()) : q.data(), stride, type};
    head.k = {bf16 ? static_cast<const void*>(key_value_halves_.data()) : key_value.data(), stride, type};
    head.v = head.k.from(0, head_width);
    const auto floats = static_cast<std::size_t>(table.attention_scratch(head.keys, head_width));
    scratch_.assign(floats, std::numeric_limits<float>::quiet_NaN());  // seen if read before it is written
    scratch_.resize(floats + kBehind, 1.0f);
    head.scratch = scratch_.data();
  }

  /// Whether what lies behind the scratch is as it was.
  [[nodiscard]] bool keeps_within() const {
    return std::all_of(scratch_.end() - kBehind, scratch_.end(), [](float x) { return x == 1.0f; });
  }

  clipon::kernels::AttentionHead head;  // all but `out`

 private:
  static constexpr int kBehind = 16;

  static std::vector<std::uint16_t> rounded(const std::vector<float>& x) {
    std::vector<std::uint16_t> halves;
    for (const float v : x) halves.push_back(clipon::float_to_bf16(v));
    halves.push_back(0);  // the pair of an odd width's last element
    return halves;
  }

  std::vector<std::uint16_t> q_halves_;
  std::vector<std::uint16_t> key_value_halves_;
  std::vector<float> scratch_;
};

/// All lengths around the tiles, causal or not, f32 and bf16, rows in any order.
inline void check_attention(const clipon::kernels::KernelTable& table) {
  using namespace clipon::kernels;
  using clipon::DataType;
  using clipon::index_t;
  Random random(12);
  for (const index_t keys : {1, 2, 7, 8, 9, 15, 16, 17, 47, 48, 49, 50, 64, 77, 97, 200}) {
    for (int variant = 0; variant < 16; ++variant) {
      const bool causal = (variant & 1) != 0;
      const bool bf16 = (variant & 2) != 0;
      if (bf16 && table.bf16_runs_as != DataType::bf16) continue;  // such towers attend in f32
      const index_t queries = (variant & 4) != 0 ? 1 : keys;
      const index_t head_width = keys <= 7 ? std::min<index_t>(keys, 2) : keys % 2 == 0 ? 64 : keys % 3 == 0 ? 40 : 37;
      const index_t stride = (variant & 8) != 0 ? 2 * head_width : 3 * head_width + 1;  // or the last value ends it all
      const auto q = random.normals(queries * stride);
      const auto kv = random.normals(keys * stride);
      std::vector<float> found(static_cast<std::size_t>(queries * head_width));
      std::vector<float> expected(found.size());
      AttentionInputs inputs(table, bf16 ? DataType::bf16 : DataType::f32, q, kv, stride, head_width);
      AttentionHead& head = inputs.head;
      std::vector<index_t> key_rows(static_cast<std::size_t>(keys));
      std::iota(key_rows.rbegin(), key_rows.rend(), index_t{0});
      if ((variant & 8) != 0) head.key_rows = key_rows.data();
      head.causal = causal;
      head.out = {expected.data(), head_width};
      reference::attention_head(head);
      head.out = {found.data(), head_width};
      table.attention_head(head);
      REQUIRE(inputs.keeps_within());
      for (std::size_t i = 0; i < found.size(); ++i) {
        CAPTURE(keys);
        CAPTURE(variant);
        REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= kAttentionTolerance[bf16 ? 1 : 0]);
      }
    }
  }
}

/// Scores of 1e12 and more, as weights that nobody trained can give: of the keys that a query sees, the last has the
/// greatest and all the weight.
inline void check_large_scores(const clipon::kernels::KernelTable& table) {
  using namespace clipon::kernels;
  using clipon::DataType;
  using clipon::index_t;
  constexpr index_t keys = 50;
  constexpr index_t width = 64;
  std::vector<float> q;  // query r: each score is q k width, greatest for the last key
  std::vector<float> kv;
  for (index_t row = 0; row < keys; ++row) {
    q.insert(q.end(), 2 * width, 3.1e5f * static_cast<float>(1 + row));
    kv.insert(kv.end(), width, 7.3e5f * static_cast<float>(1 + row));
    for (index_t i = 0; i < width; ++i) kv.push_back(static_cast<float>(row) - 0.25f * static_cast<float>(i));
  }
  for (const bool causal : {false, true}) {
    for (const DataType type : {DataType::f32, table.bf16_runs_as}) {
      AttentionInputs inputs(table, type, q, kv, 2 * width, width);
      inputs.head.causal = causal;
      std::vector<float> found(keys * width);
      inputs.head.out = {found.data(), width};
      table.attention_head(inputs.head);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const std::size_t key = causal ? i / width : keys - 1;
        const float last = kv[(2 * key + 1) * width + i % width];
        // 2^0 is known to 2^-13 in bf16, and is what the weights' sum is, too
        const bool bf16 = type == DataType::bf16;
        REQUIRE(found[i] == doctest::Approx(bf16 ? clipon::bf16_to_float(clipon::float_to_bf16(last)) : last)
                                .epsilon(bf16 ? 1.0 / 4096 : 1e-6));
      }
    }
  }
}

}  // namespace support

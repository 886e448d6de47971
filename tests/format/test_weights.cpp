// Tensors by name: what their bytes stand for, in each type, and what is refused among them.
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;
using support::ModelFile;

namespace {

format::Gguf gguf_of(const std::vector<std::byte>& file) {
  return {file, LoadOptions{}};
}

}  // namespace

TEST_CASE("tensors of each stored type come out as the numbers that they stand for") {
  const auto halves = [](std::initializer_list<std::uint16_t> values) {
    std::string data;
    for (const std::uint16_t value : values) data += support::raw(value);
    return data;
  };
  ModelFile made;
  made.tensors.push_back({"f16", {2, 2}, halves({0x3c00, 0xc000, 0x3800, 0x0001}), support::kTensorF16, {}, {}});
  made.tensors.push_back({"bf16", {2, 2}, halves({0x3f80, 0xc000, 0x3f00, 0x4049}), support::kTensorBf16, {}, {}});
  made.tensors.push_back({"i8", {2, 1, 2}, "\x01\xff\x7f\x80", support::kTensorI8, {}, {}});
  made.tensor("i8.scale", {2}, {0.5f, 2.0f});
  const auto bytes = made.seal().bytes();
  const format::Gguf file = gguf_of(bytes);
  format::Weights weights(file, {});
  using Floats = std::vector<float>;
  CHECK(weights.get_vector("f16", {2, 2}) == Floats{1.0f, -2.0f, 0.5f, 0x1p-24f});
  CHECK(weights.get_vector("bf16", {2, 2}) == Floats{1.0f, -2.0f, 0.5f, 3.140625f});
  CHECK(weights.get_vector("i8", {2, 1, 2}) == Floats{0.5f, -0.5f, 254.0f, -256.0f});
  CHECK_NOTHROW(weights.finish());

  ModelFile blocks;  // two rows of a block each, which only lenient files hold
  std::string data;
  Floats expected;
  for (const auto& [half, scale] : {std::pair<std::uint16_t, float>{0x3c00, 1.0f}, {0x3800, 0.5f}}) {
    data += support::raw(half);
    for (int i = 0; i < 32; ++i) {
      data += support::raw(static_cast<std::int8_t>(8 * i - 128));
      expected.push_back(scale * static_cast<float>(8 * i - 128));
    }
  }
  blocks.tensors.push_back({"q8", {2, 32}, data, support::kTensorQ8, {}, {}});
  blocks.tensor("unused", {1}, {1.0f});
  const auto lenient = blocks.bytes();
  const format::Gguf other = gguf_of(lenient);
  format::Weights quantised(other, {});
  CHECK(quantised.get_vector("q8", {2, 32}) == expected);
  CHECK_NOTHROW(quantised.finish());  // what a lenient file has beyond is ignored
  const auto sealed = blocks.seal().bytes();
  CHECK(support::code_of([&] { (void)gguf_of(sealed); }) == ErrorCode::bad_type);
  blocks = {};
  blocks.tensors.push_back({"q8", {32, 2}, data, support::kTensorQ8, {}, {}});
  const auto across = blocks.bytes();
  CHECK(support::code_of([&] { (void)gguf_of(across); }) == ErrorCode::bad_shape);
}

TEST_CASE("scales are f32, stand beside their tensor and are not below 0") {
  const auto code = [](const std::string& data, std::uint32_t type) {
    ModelFile made;
    made.tensors.push_back({"a", {2, 2}, "abcd", support::kTensorI8, {}, {}});
    made.tensors.push_back({"a.scale", {2}, data, type, {}, {}});
    const auto bytes = made.seal().bytes();
    const format::Gguf file = gguf_of(bytes);
    for (const auto pass : {format::Weights::Pass::shapes, format::Weights::Pass::data}) {
      format::Weights weights(file, {}, pass);
      try {
        (void)weights.get("a", {2, 2});
        weights.finish();
      } catch (const Error& error) {
        return to_string(error.code());
      }
    }
    return "";
  };
  const std::string zeros(4, '\0');
  CHECK(code(zeros + zeros, support::kTensorF32) == std::string());
  CHECK(code(zeros + support::raw(-1e-30f), support::kTensorF32) == std::string("bad_value"));
  CHECK(code(zeros, support::kTensorF16) == std::string("bad_type"));
}

TEST_CASE("checksums: one a tensor, not looked at where they need not be") {
  const ModelFile good = ModelFile().tensor("a", {2}, {1, 2}).tensor("b", {1}, {3}).seal();
  for (const std::size_t count : {1u, 3u}) {
    ModelFile wrong = good;
    std::erase_if(wrong.keys, [](const support::Key& key) { return key.name == "clipon.crc32c"; });
    const auto bytes = wrong.numbers("clipon.crc32c", support::kU32, std::vector<std::uint32_t>(count)).bytes();
    const format::Gguf file = gguf_of(bytes);
    CHECK(support::code_of([&] { const format::Weights weights(file, {}); }) == ErrorCode::bad_shape);
  }
  ModelFile damaged = good;
  damaged.tensors[1].data[0] ^= 1;
  const auto bytes = damaged.bytes();
  const format::Gguf file = gguf_of(bytes);
  format::Weights strict(file, {});
  CHECK_NOTHROW((void)strict.get("a", {2}));
  CHECK(support::code_of([&] { (void)strict.get("b", {1}); }) == ErrorCode::checksum_mismatch);
  LoadOptions options;
  options.verify_checksums = false;
  CHECK_NOTHROW((void)format::Weights(file, options).get("b", {1}));
}

TEST_CASE("NaN and infinity among the weights are refused unless asked for, in any place and type") {
  const auto check = [](ModelFile& made, const format::TensorShape& shape) {
    const auto bytes = made.bytes();
    const format::Gguf file = gguf_of(bytes);
    CHECK(support::code_of([&] { (void)format::Weights(file, {}).get("a", shape); }) == ErrorCode::not_finite);
    LoadOptions options;
    options.allow_non_finite = true;
    CHECK_NOTHROW((void)format::Weights(file, options).get("a", shape));
  };
  for (std::size_t place = 0; place < 3; ++place) {
    CAPTURE(place);
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
      std::vector<float> values = {1, 2, 3};
      values[place] = bad;
      check(ModelFile().tensor("a", {3}, values).seal(), {3});
    }
    const std::pair<std::uint32_t, std::uint16_t> narrow[] = {{support::kTensorF16, 0x7c00},
                                                              {support::kTensorF16, 0xfc01},
                                                              {support::kTensorBf16, 0x7f80},
                                                              {support::kTensorBf16, 0xff81}};
    for (const auto& [type, bad] : narrow) {
      ModelFile made;
      made.tensors.push_back({"a", {3}, std::string(6, '\x01'), type, {}, {}});
      made.tensors[0].data.replace(2 * place, 2, support::raw(bad));
      check(made.seal(), {3});
    }
    ModelFile blocks;  // of 34 bytes each, their scales first
    blocks.tensors.push_back({"a", {3, 32}, std::string(std::size_t{3} * 34, '\x7d'), support::kTensorQ8, {}, {}});
    for (std::size_t b = 0; b < 3; ++b) {
      blocks.tensors[0].data.replace(34 * b, 2, support::raw(static_cast<std::uint16_t>(b == place ? 0x7c01 : 0x3c00)));
    }
    check(blocks, {3, 32});
  }
  ModelFile finite;
  finite.tensors.push_back(
      {"a", {1, 32}, support::raw(std::uint16_t{0x7bff}) + std::string(32, '\x7d'), support::kTensorQ8, {}, {}});
  finite.tensor("b", {2}, {3.4e38f, -3.4e38f});
  finite.tensors.push_back({"c", {1}, support::raw(std::uint16_t{0x7f7f}), support::kTensorBf16, {}, {}});
  const auto bytes = finite.bytes();
  const format::Gguf file = gguf_of(bytes);
  format::Weights weights(file, {});
  CHECK_NOTHROW((void)weights.get("a", {1, 32}));
  CHECK_NOTHROW((void)weights.get("b", {2}));
  CHECK_NOTHROW((void)weights.get("c", {1}));
}

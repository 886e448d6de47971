#include <cmath>

#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;
using support::ModelFile;

namespace {

format::Gguf parse(const std::vector<std::byte>& file, const LoadOptions& options = {}) {
  return {file, options};
}

ModelFile sample() {
  ModelFile file;
  file.text("general.architecture", "clip").u32("number", 7);
  file.tensor("a", {2, 3}, {1, 2, 3, 4, 5, 6}).tensor("b", {5}, {1, 2, 3, 4, 5});
  return file.seal();
}

}  // namespace

TEST_CASE("a strict file gives its keys and tensors back") {
  const auto bytes = sample().bytes();
  const format::Gguf file = parse(bytes);
  CHECK(file.strict());
  CHECK(file.get<std::string_view>("general.architecture") == "clip");
  CHECK(file.number("number", 0, 10) == 7);
  format::Weights weights(file, {});
  const format::TensorView a = weights.get("a", {2, 3});
  CHECK(static_cast<const float*>(a.data)[5] == 6.0f);
  CHECK(weights.get_vector("b", {5}) == std::vector<float>{1, 2, 3, 4, 5});
  weights.finish();
}

TEST_CASE("what a key or tensor is not is refused by code") {
  const auto bytes = sample().bytes();
  const format::Gguf file = parse(bytes);
  CHECK(support::code_of([&] { (void)file.number("number", 8, 10); }) == ErrorCode::bad_value);
  CHECK(support::code_of([&] { (void)file.number("absent", 0, 10); }) == ErrorCode::missing_key);
  CHECK(support::code_of([&] { (void)file.get<std::string_view>("number"); }) == ErrorCode::bad_type);
  format::Weights weights(file, {});
  CHECK(support::code_of([&] { (void)weights.get("a", {3, 2}); }) == ErrorCode::bad_shape);
  CHECK(support::code_of([&] { (void)weights.get("c", {1}); }) == ErrorCode::missing_key);
  (void)weights.get("a", {2, 3});
  CHECK(support::code_of([&] { weights.finish(); }) == ErrorCode::bad_value);  // nobody asked for b
}

TEST_CASE("arrays of numbers of every unsigned and every real type; other types are refused") {
  enum : std::uint32_t { u8 = 0, u16 = 2, i32 = 5, u64 = 10, f64 = 12 };  // as GGUF numbers them
  ModelFile made = sample();
  made.numbers<std::uint8_t>("u8", u8, {1, 255});
  made.numbers<std::uint16_t>("u16", u16, {2, 65535});
  made.numbers<std::uint32_t>("u32", support::kU32, {3, 4294967295u});
  made.numbers<std::uint64_t>("u64", u64, {4, 1ull << 63});
  made.numbers<std::int32_t>("i32", i32, {5, -5});
  made.numbers<float>("f32", support::kF32, {0.5f, -2.0f});
  made.numbers<double>("f64", f64, {0.1, -2.0});
  const auto bytes = made.bytes();
  const format::Gguf file = parse(bytes);
  const auto& keys = file.metadata();
  using Numbers = std::vector<std::uint64_t>;
  CHECK(keys.numbers("u8") == Numbers{1, 255});
  CHECK(keys.numbers("u16") == Numbers{2, 65535});
  CHECK(keys.numbers("u32") == Numbers{3, 4294967295u});
  CHECK(keys.numbers("u64") == Numbers{4, 1ull << 63});
  CHECK(keys.reals("f32") == std::vector<double>{0.5, -2.0});
  CHECK(keys.reals("f64") == std::vector<double>{0.1, -2.0});
  for (const char* key : {"i32", "f32", "f64"}) {
    CHECK(support::code_of([&] { (void)keys.numbers(key); }) == ErrorCode::bad_type);
  }
  for (const char* key : {"i32", "u32"}) {
    CHECK(support::code_of([&] { (void)keys.reals(key); }) == ErrorCode::bad_type);
  }
}

TEST_CASE("a file cut at any byte is refused") {
  const auto bytes = sample().bytes();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CAPTURE(n);
    const auto code = support::code_of([&] {
      (void)parse({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)});
    });
    REQUIRE((code == ErrorCode::truncated || code == ErrorCode::bad_magic || code == ErrorCode::bad_offset));
  }
}

TEST_CASE("one more byte, another version, a misplaced tensor are refused") {
  auto bytes = sample().bytes();
  bytes.push_back(std::byte{0});
  CHECK(support::code_of([&] { (void)parse(bytes); }) == ErrorCode::bad_offset);
  for (const std::uint32_t version : {0u, 1u, 2u, 4u, 0xffffffffu, 0x03000000u}) {
    ModelFile wrong = sample();
    wrong.version = version;
    const auto file = wrong.bytes();
    CHECK(support::code_of([&] { (void)parse(file); }) == ErrorCode::bad_version);
  }
  for (const std::uint64_t error : {std::uint64_t{1}, std::uint64_t{32}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    ModelFile wrong = sample();
    wrong.tensors[0].offset = error;
    const auto file = wrong.bytes();
    CHECK(support::code_of([&] { (void)parse(file); }) == ErrorCode::bad_offset);
  }
}

TEST_CASE("any single flipped bit is noticed, or changes nothing that is read") {
  const auto bytes = sample().bytes();
  int accepted = 0;
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    auto flipped = bytes;
    flipped[i / 8] ^= std::byte{1} << (i % 8);
    try {
      const format::Gguf file = parse(flipped);
      if (!file.strict()) continue;  // the key clipon.format_version itself was hit: a lenient file, without checksums
      format::Weights weights(file, {});
      (void)weights.get("a", {2, 3});
      (void)weights.get("b", {5});
      weights.finish();
      ++accepted;
    } catch (const Error&) {
    }
  }
  // only the 12 bytes of "clip" and 7, the key names around them and clipon.format_version's value go unchecked here
  CHECK(accepted < 400);
}

TEST_CASE("NaN and infinity among the weights are refused unless asked for") {
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    const auto bytes = ModelFile().tensor("a", {3}, {1, bad, 2}).seal().bytes();
    const format::Gguf file = parse(bytes);
    CHECK(support::code_of([&] { (void)format::Weights(file, {}).get("a", {3}); }) == ErrorCode::not_finite);
    LoadOptions options;
    options.allow_non_finite = true;
    CHECK_NOTHROW((void)format::Weights(file, options).get("a", {3}));
  }
}

TEST_CASE("counts and lengths beyond the file are refused before anything is allocated") {
  for (const std::uint64_t count :
       {std::uint64_t{1} << 31, std::uint64_t{1} << 32, ~std::uint64_t{0} >> 1, ~std::uint64_t{0}}) {
    auto bytes = sample().bytes();
    for (const std::size_t at : {std::size_t{8}, std::size_t{16}, std::size_t{24}}) {  // tensors, keys, a key's length
      auto changed = bytes;
      std::memcpy(changed.data() + at, &count, sizeof count);
      const auto code = support::code_of([&] { (void)parse(changed); });
      CHECK((code == ErrorCode::limit_exceeded || code == ErrorCode::truncated));
    }
  }
}

TEST_CASE("crc32c has the value of RFC 3720, appendix B.4") {
  std::vector<std::byte> zeros(32);
  CHECK(format::crc32c(zeros) == 0x8a9136aau);
  std::vector<std::byte> ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<std::byte>(i));
  CHECK(format::crc32c(ascending) == 0x46dd794eu);
  std::vector<std::byte> bytes(10001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i * 31 + i / 7);
  for (std::size_t n : {0u, 1u, 7u, 9u, 3071u, 3072u, 3073u, 3095u, 3096u, 9999u, 10000u}) {
    const std::span<const std::byte> part = std::span(bytes).subspan(1, n);
    CAPTURE(n);
    CHECK(format::crc32c(part) ==
          ~format::crc32c_portable(~0u, reinterpret_cast<const unsigned char*>(part.data()), n));
  }
}

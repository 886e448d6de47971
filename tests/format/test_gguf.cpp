#include <initializer_list>
#include <optional>
#include <utility>

#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;
using support::ModelFile;

namespace {

format::Gguf parse(const std::vector<std::byte>& file, const LoadOptions& options = {}) {
  return {file, options};
}

// Where the last field of the header ends; its padding follows.
std::size_t header_end(const ModelFile& file) {
  std::size_t end = 24;
  for (const support::Key& key : file.keys) end += 8 + key.name.size() + 4 + key.value.size();
  for (const support::Tensor& tensor : file.tensors)
    end += 8 + tensor.name.size() + 4 + 8 * tensor.shape.size() + 4 + 8;
  return end;
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
  const kernels::StoredMatrix a = weights.get("a", {2, 3});
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
  CHECK_THROWS_WITH_AS((void)weights.get("a", {3, 2}), "tensor 'a': expected shape [3, 2], found [2, 3]", Error);
  CHECK(support::code_of([&] { (void)weights.get("a", {3, 2}); }) == ErrorCode::bad_shape);
  CHECK(support::code_of([&] { (void)weights.get("c", {1}); }) == ErrorCode::missing_key);
  (void)weights.get("a", {2, 3});
  CHECK(support::code_of([&] { weights.finish(); }) == ErrorCode::bad_value);  // nobody asked for b
}

TEST_CASE("arrays of numbers of every unsigned and every real type; other types are refused") {
  enum : std::uint32_t { u8 = 0, i8 = 1, u16 = 2, i16 = 3, i32 = 5, u64 = 10, i64 = 11, f64 = 12 };  // GGUF's numbers
  ModelFile made = sample();
  made.numbers<std::int8_t>("i8", i8, {1, -1, 0});
  made.numbers<std::int16_t>("i16", i16, {2, -2, 0});
  made.numbers<std::int64_t>("i64", i64, {3, -3, 0});
  made.numbers<std::uint8_t>("bool", support::kBool, {0, 1, 1});
  made.strings("strings", {"a", ""});
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
  CHECK(keys.strings("strings") == std::vector<std::string>{"a", ""});
  CHECK(keys.length("i16") == 3);
  for (const char* key : {"i8", "i16", "i32", "i64", "f32", "f64", "bool", "strings"}) {
    CHECK(support::code_of([&] { (void)keys.numbers(key); }) == ErrorCode::bad_type);
  }
  for (const char* key : {"i32", "u32", "bool", "strings"}) {
    CHECK(support::code_of([&] { (void)keys.reals(key); }) == ErrorCode::bad_type);
  }
  for (const char* key : {"i8", "u8", "u64", "f32", "bool"}) {
    CHECK(support::code_of([&] { (void)keys.strings(key); }) == ErrorCode::bad_type);
  }
}

TEST_CASE("single numbers of every type are read as they stand; a bool is 0 or 1") {
  ModelFile made;
  const auto put = [&](const std::string& name, std::uint32_t type, const auto& value) {
    made.key(name, type, support::raw(value));
  };
  put("u8", 0, std::uint8_t{200});
  put("i8", 1, std::int8_t{-5});
  put("u16", 2, std::uint16_t{40'000});
  put("i16", 3, std::int16_t{-300});
  put("u32", 4, std::uint32_t{3'000'000'000u});
  put("i32", 5, std::int32_t{-70'000});
  put("f32", 6, 0.5f);
  put("u64", 10, std::uint64_t{1} << 40);
  put("i64", 11, -(std::int64_t{1} << 40));
  put("f64", 12, 0.1);
  const auto bytes = made.boolean("yes", true).boolean("no", false).text("last", "its end").bytes();
  const format::Gguf file = parse(bytes);
  CHECK(file.get<std::uint64_t>("u8") == 200);
  CHECK(file.get<std::int64_t>("i8") == -5);
  CHECK(file.get<std::uint64_t>("u16") == 40'000);
  CHECK(file.get<std::int64_t>("i16") == -300);
  CHECK(file.get<std::uint64_t>("u32") == 3'000'000'000u);
  CHECK(file.get<std::int64_t>("i32") == -70'000);
  CHECK(file.get<double>("f32") == 0.5);
  CHECK(file.get<std::uint64_t>("u64") == std::uint64_t{1} << 40);
  CHECK(file.get<std::int64_t>("i64") == -(std::int64_t{1} << 40));
  CHECK(file.get<double>("f64") == 0.1);
  CHECK(file.get<bool>("yes"));
  CHECK_FALSE(file.get<bool>("no"));
  CHECK(file.get<std::string_view>("last") == "its end");
  const auto code = [](const ModelFile& wrong) {
    const auto other = wrong.bytes();
    return support::code_of([&] { (void)parse(other); });
  };
  CHECK(code(ModelFile().key("no bool", support::kBool, std::string(1, 2))) == ErrorCode::bad_value);
  CHECK(code(ModelFile().u32("", 1)) == ErrorCode::bad_value);
  CHECK(code(ModelFile().u32("twice", 1).u32("between", 2).text("twice", "other")) == ErrorCode::duplicate);
  CHECK(code(ModelFile().text("clipon.source", "of a file whose clipon.format_version is lost")) ==
        ErrorCode::missing_key);
  for (const std::uint32_t type : {support::kArray + 0u, 13u}) {  // GGUF has no type 13
    CHECK(code(ModelFile().numbers<std::uint64_t>("elements", type, {0, 0})) == ErrorCode::bad_type);
  }
}

TEST_CASE("each limit is the greatest that is read") {
  const auto bytes = sample().bytes();  // 2 tensors, 4 keys, an array of 2, "clipon.format_version" of 21 bytes
  const auto check = [&](auto LoadOptions::*limit, std::size_t most) {
    LoadOptions options;
    options.*limit = most;
    CHECK_NOTHROW((void)parse(bytes, options));
    options.*limit = most - 1;
    CHECK(support::code_of([&] { (void)parse(bytes, options); }) == ErrorCode::limit_exceeded);
  };
  check(&LoadOptions::max_tensors, 2);
  check(&LoadOptions::max_metadata_keys, 4);
  check(&LoadOptions::max_array_length, 2);
  check(&LoadOptions::max_string_bytes, 21);
}

TEST_CASE("the limits are those of SECURITY.md where the caller names none") {
  const auto of_tensors = [](std::size_t count) {
    ModelFile made;
    for (std::size_t i = 0; i < count; ++i) made.tensor(std::to_string(i), {1}, {1});
    return made.bytes();
  };
  const auto of_keys = [](std::size_t count) {
    ModelFile made;
    for (std::size_t i = 0; i < count; ++i) made.u32(std::to_string(i), 1);
    return made.bytes();
  };
  const auto of_elements = [](std::size_t count) {
    return ModelFile().numbers("many", support::kU32, std::vector<std::uint32_t>(count)).bytes();
  };
  const auto of_letters = [](std::size_t count) { return ModelFile().text("long", std::string(count, 'a')).bytes(); };
  const auto check = [](const auto& make, std::size_t most) {
    const auto good = make(most);
    CHECK_NOTHROW((void)parse(good));
    const auto bad = make(most + 1);
    CHECK(support::code_of([&] { (void)parse(bad); }) == ErrorCode::limit_exceeded);
  };
  check(of_tensors, 8192);
  check(of_keys, 1024);
  check(of_elements, std::size_t{1} << 20);
  check(of_letters, std::size_t{1} << 20);
  CHECK(LoadOptions{}.max_file_bytes == std::uint64_t{16} << 30);
  CHECK(TokenizeOptions{}.max_bytes == std::size_t{16} << 20);
}

TEST_CASE("a lenient file's alignment is a power of two from 8 to 65536, 32 where it names none") {
  const auto aligned = [](std::optional<std::uint32_t> alignment, const std::string& name) {
    ModelFile made;
    if (alignment) made.u32("general.alignment", *alignment);
    made.tensor(name, {1}, {1.5f}).tensor("b", {1}, {2.5f});
    const std::size_t step = alignment.value_or(32);
    made.tensors[1].offset = step;
    std::string bytes = made.header().substr(0, header_end(made));
    for (const support::Tensor& tensor : made.tensors) {
      bytes.resize((bytes.size() + step - 1) / step * step);
      bytes += tensor.data;
    }
    return bytes;
  };
  for (std::size_t length = 1; length <= 64; ++length) {  // headers that end anywhere
    const std::string name(length, 'a');
    for (const std::optional<std::uint32_t> alignment :
         std::initializer_list<std::optional<std::uint32_t>>{{}, 8, 16, 64, 65536}) {
      const std::string bytes = aligned(alignment, name);
      const format::Gguf file(std::as_bytes(std::span(bytes)), {});
      format::Weights weights(file, {});
      CHECK(weights.get_vector(name, {1}) == std::vector<float>{1.5f});
      CHECK(weights.get_vector("b", {1}) == std::vector<float>{2.5f});
    }
  }
  for (const std::uint32_t alignment : {1u, 4u, 24u, 131072u}) {
    const std::string bytes = aligned(alignment, "a");
    CHECK_THROWS_WITH_AS((void)format::Gguf(std::as_bytes(std::span(bytes)), {}),
                         ("GGUF: metadata key 'general.alignment': expected a power of two from 8 to 65536 (32 in a "
                          "clipon file), found " +
                          std::to_string(alignment))
                             .c_str(),
                         Error);
  }
  const auto strict = sample().u32("general.alignment", 64).bytes();
  CHECK(support::code_of([&] { (void)parse(strict); }) == ErrorCode::bad_value);
  const ModelFile empty = ModelFile().numbers("ends it", support::kU32, std::vector<std::uint32_t>{1, 2});
  const std::string header = empty.header();
  CHECK(format::Gguf(std::as_bytes(std::span(header)).first(header_end(empty)), {}).tensors().empty());
}

TEST_CASE("a file cut at any byte is refused") {
  const auto bytes = sample().bytes();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CAPTURE(n);
    const auto code = support::code_of([&] {
      (void)parse({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)});
    });
    REQUIRE(code == (n < 4 ? ErrorCode::bad_magic : ErrorCode::truncated));
  }
}

TEST_CASE("tensors have one to four dimensions from 1 to 2^31, and names of their own") {
  const auto code = [](ModelFile made) {
    const auto bytes = made.seal().bytes();
    return support::code_of([&] { (void)parse(bytes); });
  };
  const auto four = ModelFile().tensor("a", {1, 1, 1, 1}, {1}).seal().bytes();
  CHECK(parse(four).tensors()[0].shape == format::TensorShape{1, 1, 1, 1});
  CHECK(code(ModelFile().tensor("a", {1, 1, 1, 1, 1}, {1})) == ErrorCode::bad_shape);
  CHECK(code(ModelFile().tensor("a", {}, {1})) == ErrorCode::bad_shape);
  CHECK(code(ModelFile().tensor("a", {2, 0}, {})) == ErrorCode::bad_shape);
  CHECK(code(ModelFile().tensor("a", {(std::uint64_t{1} << 31) + 1}, {1})) == ErrorCode::bad_shape);
  CHECK(code(ModelFile().tensor("a", {1}, {1}).tensor("b", {1}, {1}).tensor("a", {1}, {1})) == ErrorCode::duplicate);
}

TEST_CASE("each byte of padding is zero") {
  const ModelFile made = sample();
  const std::size_t data = made.header().size();
  const std::pair<std::size_t, std::size_t> paddings[] = {
      {header_end(made), data}, {data + 24, data + 32}, {data + 32 + 20, data + 64}};
  for (const auto& padding : paddings) {
    REQUIRE(padding.first < padding.second);
    for (std::size_t i = padding.first; i < padding.second; ++i) {
      auto bytes = made.bytes();
      bytes[i] = std::byte{1};
      CHECK(support::code_of([&] { (void)parse(bytes); }) == ErrorCode::bad_offset);
    }
  }
}

TEST_CASE("a lenient file may have holes, but no tensors that overlap, lie beyond it or between its steps") {
  const auto second_at = [](std::uint64_t offset) {
    ModelFile made;
    made.tensor("a", {8}, std::vector<float>(8, 1.0f)).tensor("b", {8}, std::vector<float>(8, 2.0f));
    made.tensors[1].offset = offset;
    made.tail = std::string(32, '\0');
    return made.bytes();
  };
  for (const std::uint64_t offset : {32u, 64u}) {
    const auto bytes = second_at(offset);
    CHECK(parse(bytes).tensors()[1].bytes.size() == 32);
  }
  for (const std::uint64_t offset : {0u, 8u, 33u, 40u}) {
    const auto bytes = second_at(offset);
    CHECK(support::code_of([&] { (void)parse(bytes); }) == ErrorCode::bad_offset);
  }
  for (const std::uint64_t offset : {std::uint64_t{96}, std::uint64_t{1} << 63, ~std::uint64_t{0} - 31}) {
    const auto bytes = second_at(offset);
    CHECK(support::code_of([&] { (void)parse(bytes); }) == ErrorCode::truncated);
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
  std::vector<std::byte> bytes(60001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i * 31 + i / 7);
  for (std::size_t n :
       {0u, 1u, 7u, 9u, 3071u, 3072u, 3073u, 3095u, 3096u, 6144u, 9999u, 10000u, 24575u, 24576u, 27649u, 60000u}) {
    const std::span<const std::byte> part = std::span(bytes).subspan(1, n);
    CAPTURE(n);
    CHECK(format::crc32c(part) ==
          ~crc_by_tables<format::kCastagnoli>(~0u, reinterpret_cast<const unsigned char*>(part.data()), n));
  }
}

#include <clipon/format/check_tensor.hpp>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "support.hpp"

namespace format = clipon::format;
using format::kCheckPiece;
using format::TensorType;

namespace {

format::TensorInfo tensor_of(const std::vector<std::byte>& bytes, TensorType type) {
  format::TensorInfo tensor;
  tensor.type = type;
  tensor.bytes = bytes;
  return tensor;
}

// Bytes of no number that is infinite or NaN, in any type: exponents have a zero in their high bits.
std::vector<std::byte> sound_bytes(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0x3fu);
  return bytes;
}

}  // namespace

TEST_CASE("a tensor's checksum is that of all its bytes, in however many pieces and by however many threads") {
  const std::size_t piece = kCheckPiece;
  for (const std::size_t size : {std::size_t{0}, std::size_t{4}, piece - 2, piece, piece + 2, 4 * piece, 8 * piece - 34,
                                 8 * piece, 9 * piece + 6, 23 * piece + 2}) {
    const std::vector<std::byte> bytes = sound_bytes(size);
    for (const int threads : {1, 2, 3, 5}) {
      CAPTURE(size);
      CAPTURE(threads);
      const auto found = format::check_tensor(tensor_of(bytes, TensorType::f16), {true, true}, {threads});
      CHECK(found.crc32c == format::crc32c(bytes));
      CHECK(found.finite);
    }
  }
}

TEST_CASE("a number that is not finite is found wherever it stands, and only where it is looked for") {
  struct Kind {
    TensorType type;
    std::size_t step;  // from number to number, or from q8_0's scale to scale
    std::vector<unsigned char> infinity;
  };
  const Kind kinds[] = {{TensorType::f32, 4, {0, 0, 0x80, 0x7f}},
                        {TensorType::f16, 2, {0, 0x7c}},
                        {TensorType::bf16, 2, {0x80, 0xff}},
                        {TensorType::q8_0, format::kQ8BlockBytes, {1, 0x7e}}};
  for (const Kind& kind : kinds) {
    const std::size_t numbers = 9 * kCheckPiece / kind.step;
    for (const std::size_t at : {std::size_t{0}, numbers / 2, numbers * 5 / 9, kCheckPiece / kind.step - 1,
                                 kCheckPiece / kind.step, numbers - 1}) {
      CAPTURE(static_cast<int>(kind.type));
      CAPTURE(at);
      std::vector<std::byte> bytes = sound_bytes(numbers * kind.step);
      std::memcpy(bytes.data() + at * kind.step, kind.infinity.data(), kind.infinity.size());
      for (const int threads : {1, 2}) {
        const auto tensor = tensor_of(bytes, kind.type);
        CHECK_FALSE(format::check_tensor(tensor, {true, true}, {threads}).finite);
        CHECK(format::check_tensor(tensor, {true, false}, {threads}).finite);
        CHECK(format::check_tensor(tensor, {true, false}, {threads}).crc32c == format::crc32c(bytes));
        CHECK(format::check_tensor(tensor, {false, true}, {threads}).crc32c == 0);
      }
    }
  }
}

TEST_CASE("finite is every number but those with an exponent of all ones, in each place among the greatest numbers") {
  const auto check = [](TensorType type, auto greatest, auto number, auto exponents) {
    using Word = decltype(greatest);
    const bool finite = static_cast<Word>(number & exponents) != exponents;
    for (std::size_t count = 1; count <= 10; ++count) {  // numbers: whole words of eight bytes and what is left
      for (std::size_t place = 0; place < count; ++place) {
        std::vector<Word> numbers(count, greatest);
        numbers[place] = number;
        if (format::all_finite(type, std::as_bytes(std::span(numbers))) == finite) continue;
        FAIL_CHECK("number " << number << " in place " << place << " of " << count);
        return;
      }
    }
  };
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto number = static_cast<std::uint16_t>(bits);
    check(TensorType::f16, std::uint16_t{0xfbff}, number, std::uint16_t{0x7c00});
    check(TensorType::bf16, std::uint16_t{0xff7f}, number, std::uint16_t{0x7f80});
    for (const std::uint32_t low : {0u, 1u, 0xffffu}) {
      check(TensorType::f32, 0xff7fffffu, bits << 16 | low, 0x7f800000u);
    }
  }
}

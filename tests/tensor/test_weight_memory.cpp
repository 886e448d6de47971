#include <clipon/tensor/scratch.hpp>
#include <clipon/tensor/weight_memory.hpp>
#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "support.hpp"

TEST_CASE("pieces of weight memory are aligned, apart from each other, and outlive what they were cut from") {
  struct Piece {
    clipon::WeightBytes bytes;
    std::size_t size;
    int value;
  };
  std::vector<Piece> pieces;
  {
    clipon::WeightMemory memory;
    CHECK(memory.take(0) == nullptr);
    std::mt19937 random(1);
    std::uniform_int_distribution<std::size_t> sizes(1, 900'000);
    for (int i = 0; i < 60; ++i) {
      const std::size_t size = i == 40 ? 16 * clipon::kLeastHuge + 1 : sizes(random);
      pieces.push_back({memory.take(size), size, i});
      CHECK(reinterpret_cast<std::uintptr_t>(pieces.back().bytes.get()) % clipon::kAlignment == 0);
      std::memset(pieces.back().bytes.get(), i, size);
    }
  }
  for (std::size_t i = 0; i < pieces.size(); i += 2) pieces[i].bytes.reset();
  for (const Piece& piece : pieces) {
    if (piece.bytes == nullptr) continue;
    bool kept = true;
    for (std::size_t i = 0; i < piece.size; ++i) kept &= std::to_integer<int>(piece.bytes.get()[i]) == piece.value;
    CHECK(kept);
  }
}

TEST_CASE("weights of a model lie side by side") {
#if !defined(CLIPON_ADDRESS_SANITIZER)
  clipon::WeightMemory memory;
  const auto head = memory.take(clipon::kLeastHuge);  // up to here each has a block of its own
  const auto first = memory.take(1000);
  const auto second = memory.take(10);
  CHECK(second.get() == first.get() + 1024);
  for (const std::size_t more : {0u, 1u}) {  // all that is left of the block, and more than that
    clipon::WeightMemory other;
    const auto used = other.take(clipon::kLeastHuge);
    const auto begin = other.take(1024);
    const auto rest = other.take(clipon::kLeastHuge - 1024 + more);
    CHECK((rest.get() == begin.get() + 1024) == (more == 0));
    std::memset(rest.get(), 1, clipon::kLeastHuge - 1024 + more);
  }
#endif
}

TEST_CASE("weights that there is no memory for take none from those that follow") {
#if !defined(CLIPON_ADDRESS_SANITIZER)
  clipon::WeightMemory memory;
  const auto head = memory.take(clipon::kLeastHuge);
  const auto first = memory.take(1000);
  CHECK_THROWS_AS((void)memory.take(std::size_t{1} << 60), std::bad_alloc);
  const auto next = memory.take(4 * clipon::kLeastHuge);
  CHECK((next.get() + 4 * clipon::kLeastHuge <= first.get() || next.get() >= first.get() + clipon::kLeastHuge));
  std::memset(next.get(), 1, 4 * clipon::kLeastHuge);
#endif
}

TEST_CASE("scratch is handed out front to back in aligned pieces, and no more of it than there is") {
  using clipon::Scratch;
  Scratch scratch;
  scratch.reset(Scratch::size_for<float>(3) + Scratch::size_for<char>(65));
  const auto* first = reinterpret_cast<const char*>(scratch.take<float>(3));
  const char* second = scratch.take<char>(65);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % clipon::kAlignment == 0);
  CHECK(second - first == clipon::kAlignment);
  CHECK_THROWS_AS((void)scratch.take<char>(1), std::bad_alloc);
  scratch.reset(1);
  CHECK(scratch.take<char>(1) == first);
}

TEST_CASE("a scratch that was given back is borrowed again, with its memory") {
  clipon::ScratchPool pool;
  (*pool.borrow()).reset(1024);
  const auto again = pool.borrow();
  CHECK_NOTHROW((void)(*again).take<char>(1024));
  const auto other = pool.borrow();  // that one is in use
  CHECK_THROWS_AS((void)(*other).take<char>(1), std::bad_alloc);
}

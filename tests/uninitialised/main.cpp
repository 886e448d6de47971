// No answer depends on what lay in a call's memory before: models of odd shapes give the same bits on memory of zeros
// and on memory of NaN, each text also the bits that it gives alone.
#include <clipon/clipon.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

#include "tiny_model.hpp"

namespace {
unsigned char fill = 0;
}

// What AlignedBuffer asks for; larger memory comes as zeros from the system.  Not inlined: g++ would take malloc and
// operator delete for a pair that doesn't match.
[[gnu::noinline]] void* operator new(std::size_t n) {
  void* memory = std::malloc(n);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, fill, n);
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

struct Answers {
  clipon::Matrix texts;
  clipon::Matrix last_text;  // alone
  clipon::Matrix pictures;
};

Answers embed(const std::vector<std::byte>& file, clipon::Precision precision, const std::vector<std::string>& texts) {
  clipon::LoadOptions options;
  options.precision = precision;
  options.threads = 1;
  const auto model = [&] { return clipon::Model::load_from_memory(file, options); };  // each call on fresh memory
  const std::size_t pictures = 9;
  const auto side = static_cast<std::size_t>(model().image_size());
  std::vector<float> pixels(pictures * 3 * side * side);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 37) * 0.1f - 1.8f;
  return {model().embed_texts(texts), model().embed_texts({&texts.back(), 1}), model().embed_pixels(pixels, pictures)};
}

bool equal(const clipon::Matrix& a, const clipon::Matrix& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), sizeof(float) * static_cast<std::size_t>(a.size())) == 0;
}

support::TinyShape random_shape(std::mt19937& random) {
  const auto pick = [&](std::initializer_list<std::uint64_t> values) {
    return values.begin()[random() % values.size()];
  };
  support::TinyShape shape;
  shape.resnet = random() % 4 == 0;
  shape.heads = shape.resnet ? pick({1, 2, 4}) : pick({1, 2, 3, 4});
  shape.width = shape.heads * pick({1, 3, 8, 17, 64});
  shape.feed_forward = std::min(pick({1, 3, 16, 33, 65}), 16 * shape.width);  // narrower than the block, too
  shape.layers = pick({1, 2, 3});
  if (shape.resnet) shape.image_size = 32;
  if (shape.resnet) shape.stem = pick({2, 4, 6, 8});
  return shape;
}

}  // namespace

// main [how many models]
int main(int argc, char** argv) {
  const int models = argc > 1 ? std::atoi(argv[1]) : 60;
  std::vector<std::string> texts;  // short ones, of which many go through the blocks together
  for (int i = 0; i < 600; ++i) texts.push_back({static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26)});
  std::mt19937 random(5);
  int wrong = 0;
  for (int i = 0; i < models; ++i) {
    const support::TinyShape shape = random_shape(random);
    const auto file = support::tiny_model(shape).bytes();
    for (const auto precision : {clipon::Precision::f32, clipon::Precision::bf16, clipon::Precision::int8}) {
      std::printf("width %d, MLP %d, %d heads, %s, precision %d: ", static_cast<int>(shape.width),
                  static_cast<int>(shape.feed_forward), static_cast<int>(shape.heads), shape.resnet ? "ResNet" : "ViT",
                  static_cast<int>(precision));
      try {
        fill = 0x00;
        const Answers zeros = embed(file, precision, texts);
        fill = 0xff;
        const Answers ones = embed(file, precision, texts);
        const bool same = equal(zeros.texts, ones.texts) && equal(zeros.pictures, ones.pictures) &&
                          equal(ones.last_text, ones.texts.bottomRows(1));
        std::printf("%s\n", same ? "same" : "DIFFERENT");
        wrong += same ? 0 : 1;
      } catch (const std::exception& error) {
        std::printf("%s\n", error.what());
        ++wrong;
      }
    }
  }
  return wrong == 0 ? 0 : 1;
}

// Bytes as a sequence of calls on a small model, by the plain kernels and the fastest at once: the answers must agree,
// and an item's answer must not depend on what else was in its batch.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "tiny_model.hpp"

namespace {

clipon::Model load(clipon::Isa isa, bool resnet) {
  support::TinyShape shape;
  shape.resnet = resnet;
  if (resnet) shape.image_size = 32;
  clipon::LoadOptions options;
  options.threads = 1;
  options.isa = isa;
  return clipon::Model::load_from_memory(support::tiny_model(shape).bytes(), options);
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}
  [[nodiscard]] bool empty() const { return data_.empty(); }
  std::uint8_t byte() {
    if (data_.empty()) return 0;
    const std::uint8_t value = data_.front();
    data_ = data_.subspan(1);
    return value;
  }
  std::string text() {
    std::string bytes;
    for (std::size_t n = byte() % 40; n > 0; --n) bytes += static_cast<char>(byte());
    return bytes;
  }
  clipon::Image picture() {
    const int width = 1 + byte() % 40;
    const int height = 1 + byte() % 40;
    const std::uint8_t step = byte();
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(4 * width * height));
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * step + step);
    switch (step % 3) {
      case 0:
        return clipon::Image::from_rgb(pixels.data(), width, height);
      case 1:
        return clipon::Image::from_rgba(pixels.data(), width, height);
      default:
        return clipon::Image::from_gray(pixels.data(), width, height);
    }
  }

 private:
  std::span<const std::uint8_t> data_;
};

void expect_close(const clipon::Matrix& a, const clipon::Matrix& b) {
  for (Eigen::Index r = 0; r < a.rows(); ++r) {
    const bool bad = std::isnan(a(r, 0));
    fuzz::expect(bad == std::isnan(b(r, 0)), "instruction sets refuse the same");
    fuzz::expect(bad || (a.row(r) - b.row(r)).norm() < 1e-4f, "instruction sets agree");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const clipon::Model fast[] = {load(clipon::Isa::best, false), load(clipon::Isa::best, true)};
  static const clipon::Model plain[] = {load(clipon::Isa::scalar, false), load(clipon::Isa::scalar, true)};
  Input input(data, size);
  for (int calls = 0; calls < 8 && !input.empty(); ++calls) {
    const std::uint8_t choice = input.byte();
    const std::size_t which = choice & 1;
    std::vector<clipon::ItemStatus> status;
    clipon::BatchOptions options;
    options.status = &status;
    options.normalize = (choice & 2) == 0;
    options.tokenize.truncate = (choice & 4) != 0;
    options.tokenize.replace_invalid_utf8 = (choice & 8) != 0;
    std::vector<std::string> texts(input.byte() % 5);
    std::generate(texts.begin(), texts.end(), [&] { return input.text(); });
    std::vector<clipon::Image> images;
    for (std::size_t n = input.byte() % 3; n > 0; --n) images.push_back(input.picture());
    const clipon::Matrix rows = fast[which].embed_texts(texts, options);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!status[i].ok) continue;
      const std::string one[] = {texts[i]};
      clipon::BatchOptions alone = options;
      alone.status = nullptr;
      fuzz::expect(fast[which].embed_texts(one, alone).row(0) == rows.row(static_cast<Eigen::Index>(i)),
                   "alone as in a batch");
    }
    options.normalize = true;
    expect_close(fast[which].embed_texts(texts, options), plain[which].embed_texts(texts, options));
    expect_close(fast[which].embed_images(images, options), plain[which].embed_images(images, options));
    if (images.empty()) continue;
    try {
      clipon::ClassifyOptions classify;
      classify.tokenize = options.tokenize;
      double sum = 0.0;
      for (const clipon::Prediction& p : fast[which].zero_shot_classify(images[0], texts, classify))
        sum += double{p.probability};
      fuzz::expect(sum > 0.99 && sum < 1.01, "probabilities sum to one");
    } catch (const clipon::Error& error) {
      fuzz::expect_one_line(error);
    }
  }
  return 0;
}

// Bytes as a sequence of calls on a small model, by the plain kernels and the fastest at once: the answers in f32 must
// agree, and in every precision an item's answer must not depend on what else was in its batch.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "tiny_model.hpp"

namespace {

using clipon::Precision;

clipon::Model load(clipon::Isa isa, bool resnet, Precision precision = Precision::f32) {
  support::TinyShape shape;
  shape.resnet = resnet;
  if (resnet) shape.image_size = 32;
  clipon::LoadOptions options;
  options.threads = 1;
  options.isa = isa;
  options.precision = precision;
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

clipon::BatchOptions without_status(clipon::BatchOptions options) {
  options.status = nullptr;
  return options;
}

/// embed: (index of an item) -> its embedding, alone.
template <class Embed>
void expect_alone_as_in_batch(const clipon::Matrix& rows, const std::vector<clipon::ItemStatus>& status, Embed embed) {
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i].ok) fuzz::expect(embed(i).row(0) == rows.row(static_cast<Eigen::Index>(i)), "alone as in a batch");
  }
}

}  // namespace

int fuzz::api(const std::uint8_t* data, std::size_t size) {
  constexpr auto best = clipon::Isa::best;
  static const clipon::Model fast[][2] = {{load(best, false), load(best, true)},
                                          {load(best, false, Precision::bf16), load(best, true, Precision::bf16)},
                                          {load(best, false, Precision::int8), load(best, true, Precision::int8)}};
  static const clipon::Model plain[] = {load(clipon::Isa::scalar, false), load(clipon::Isa::scalar, true)};
  Input input(data, size);
  for (int calls = 0; calls < 8 && !input.empty(); ++calls) {
    const std::uint8_t choice = input.byte();
    const std::size_t which = choice & 1;
    const std::size_t precision = (choice >> 4) % 3;
    const clipon::Model& model = fast[precision][which];
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
    expect_alone_as_in_batch(model.embed_texts(texts, options), status, [&](std::size_t i) {
      const std::string one[] = {texts[i]};
      return model.embed_texts(one, without_status(options));
    });
    expect_alone_as_in_batch(model.embed_images(images, options), status, [&](std::size_t i) {
      return model.embed_images({&images[i], 1}, without_status(options));
    });
    if (precision != 0) continue;
    options.normalize = true;
    expect_close(model.embed_texts(texts, options), plain[which].embed_texts(texts, options));
    expect_close(model.embed_images(images, options), plain[which].embed_images(images, options));
    if (images.empty()) continue;
    try {
      clipon::ClassifyOptions classify;
      classify.tokenize = options.tokenize;
      double sum = 0.0;
      for (const clipon::Prediction& p : model.zero_shot_classify(images[0], texts, classify))
        sum += double{p.probability};
      fuzz::expect(sum > 0.99 && sum < 1.01, "probabilities sum to one");
    } catch (const clipon::Error& error) {
      fuzz::expect_one_line(error);
    }
  }
  return 0;
}

// The main job on real input: the embedded model, the sample pictures, labels made up by the user.
#include <cmath>
#include <thread>

#include "support.hpp"

using namespace clipon;

namespace {

const std::vector<std::string> kPictureLabels = {"airplane", "alarm clock", "automobile",    "bicycle",
                                                 "cat face", "dog face",    "guitar",        "house",
                                                 "pizza",    "red apple",   "tropical fish", "tulip"};
const std::vector<std::string> kFiles = {"airplane", "alarm-clock", "automobile",    "bicycle",
                                         "cat-face", "dog-face",    "guitar",        "house",
                                         "pizza",    "red-apple",   "tropical-fish", "tulip"};

std::vector<Image> samples() {
  std::vector<Image> images;
  for (const std::string& name : kFiles)
    images.push_back(Image::read(support::source_path("models/samples/" + name + ".png")));
  return images;
}

}  // namespace

TEST_CASE("ten of the twelve samples get their own name, as the model card says") {
  const Model& model = support::demo_model();
  int right = 0;
  std::vector<std::string> wrong;
  const auto images = samples();
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto ranked = model.zero_shot_classify(images[i], kPictureLabels);
    REQUIRE(ranked.size() == kPictureLabels.size());
    double sum = 0.0;
    for (const Prediction& p : ranked) sum += double{p.probability};
    CHECK(sum == doctest::Approx(1.0).epsilon(1e-5));
    right += ranked.front().index == i ? 1 : 0;
    if (ranked.front().index != i) wrong.push_back(kFiles[i]);
  }
  CHECK(right == 10);
  CHECK(wrong == std::vector<std::string>{"alarm-clock", "tulip"});
}

TEST_CASE("embeddings are unit vectors, and the same bits alone, in a batch and at any thread count") {
  const auto images = samples();
  LoadOptions one;
  one.threads = 1;
  LoadOptions three;
  three.threads = 3;
  const Model serial = Model::load_demo(one);
  const Model threaded = Model::load_demo(three);
  const Matrix batch = serial.embed_images(images);
  CHECK(batch.rows() == 12);
  CHECK(batch.cols() == serial.embed_dim());
  CHECK(threaded.embed_images(images) == batch);
  const Matrix texts = serial.embed_texts(kPictureLabels);
  CHECK(threaded.embed_texts(kPictureLabels) == texts);
  for (Eigen::Index i = 0; i < batch.rows(); ++i) {
    CHECK(std::fabs(batch.row(i).norm() - 1.0f) < 1e-6f);
    CHECK(serial.embed_image(images[static_cast<std::size_t>(i)]).transpose() == batch.row(i));
    CHECK(threaded.embed_image(images[static_cast<std::size_t>(i)]).transpose() == batch.row(i));
    CHECK(serial.embed_text(kPictureLabels[static_cast<std::size_t>(i)]).transpose() == texts.row(i));
  }
}

TEST_CASE("texts that begin alike share rows and get the same bits as without sharing, in each precision") {
  std::vector<std::string> texts = {"a", "a photo", "a photo of a cat", "a photo of a cat", "a photo of a cat on a mat",
                                    ""};
  for (const std::string& label : kPictureLabels) {
    for (const char* form : {"a photo of a {}", "a photo of the {} in the wild", "{}", "an emoji of {}"}) {
      texts.push_back(fill_template(form, label));
    }
  }
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    for (const int threads : {1, 3}) {
      LoadOptions options;
      options.precision = precision;
      options.threads = threads;
      const Model model = Model::load_demo(options);
      BatchOptions alone;
      alone.share_prefixes = false;
      CHECK(model.embed_texts(texts) == model.embed_texts(texts, alone));
    }
  }
}

TEST_CASE("threads that share a model get what one thread gets") {
  const Model& model = support::demo_model();
  const auto images = samples();
  const Matrix expected = model.embed_images(images);
  std::vector<Matrix> found(8);
  {
    std::vector<std::jthread> threads;
    for (auto& result : found) threads.emplace_back([&] { result = model.embed_images(images); });
  }
  for (const Matrix& result : found) CHECK(result == expected);
}

TEST_CASE("empty batches give empty results, and a bad item does not spoil the others") {
  const Model& model = support::demo_model();
  CHECK(model.embed_images(std::vector<Image>{}).rows() == 0);
  CHECK(model.embed_texts(std::vector<std::string>{}).rows() == 0);
  const std::vector<std::string> paths = {support::source_path("models/samples/pizza.png"), "/nonexistent.png",
                                          support::source_path("README.md"),
                                          support::source_path("models/samples/house.png")};
  std::vector<ItemStatus> status;
  BatchOptions options;
  options.status = &status;
  std::size_t last = 0;
  options.progress = [&](std::size_t done, std::size_t total) {
    CHECK(total == 4);
    CHECK(done > last);
    last = done;
  };
  const Matrix rows = model.embed_image_files(paths, options);
  CHECK(last == 4);
  REQUIRE(status.size() == 4);
  CHECK(status[0].ok);
  CHECK(status[1].code == ErrorCode::io);
  CHECK(status[2].code == ErrorCode::image_corrupt);
  CHECK(status[3].ok);
  CHECK(std::isnan(rows(1, 0)));
  CHECK(std::isnan(rows(2, 0)));
  CHECK(rows.row(0).transpose() == model.embed_image(Image::read(paths[0])));
  CHECK(rows.row(3).transpose() == model.embed_image(Image::read(paths[3])));
  options.status = nullptr;
  CHECK(support::code_of([&] { (void)model.embed_image_files(paths); }) == ErrorCode::io);
}

TEST_CASE("embed_pixels of normalised floats equals embed_image") {
  const Model& model = support::demo_model();
  const Image image = samples().front();
  const auto bytes = model.preprocess(image);
  const auto size = static_cast<std::size_t>(model.image_size());
  const auto& config = model.preprocess_config();
  std::vector<float> pixels(bytes.size());
  for (std::size_t i = 0; i < size * size; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      pixels[c * size * size + i] = (static_cast<float>(bytes[i * 3 + c]) / 255.0f - config.mean[c]) / config.std[c];
    }
  }
  const Matrix found = model.embed_pixels(pixels, 1);
  CHECK((found.row(0).transpose() - model.embed_image(image)).norm() < 1e-6f);
  CHECK(support::code_of([&] { (void)model.embed_pixels(pixels, 2); }) == ErrorCode::invalid_argument);
}

TEST_CASE("arguments that make no sense are refused by name") {
  const Model& model = support::demo_model();
  const Image image = samples().front();
  CHECK(support::code_of([&] { (void)model.zero_shot_classify(image, {}); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)model.zero_shot_classify(image, {"cat", " "}); }) == ErrorCode::invalid_argument);
  ClassifyOptions options;
  options.templates = {"a photo of a cat"};
  CHECK(support::code_of([&] { (void)model.zero_shot_classify(image, {"cat"}, options); }) ==
        ErrorCode::invalid_argument);
  CHECK(support::code_of([] { (void)Model::load("/nonexistent.gguf"); }) == ErrorCode::io);
  CHECK(support::code_of([] { (void)Model::load(support::source_path("models")); }) == ErrorCode::io);
  CHECK(support::code_of([] { (void)Model::load(support::source_path("README.md")); }) == ErrorCode::bad_magic);
  const std::string long_text(4000, 'q');
  CHECK(support::code_of([&] { (void)model.embed_text(long_text); }) == ErrorCode::text_too_long);
  TokenizeOptions truncate;
  truncate.truncate = true;
  CHECK(model.embed_text(long_text, truncate).size() == model.embed_dim());
}

TEST_CASE("every ISA of this machine gives the scalar answer") {
  const auto images = samples();
  LoadOptions options;
  options.isa = Isa::scalar;
  const Matrix expected = Model::load_demo(options).embed_images(images);
  for (const Isa isa : kernels::usable_isas()) {
    options.isa = isa;
    const Model model = Model::load_demo(options);
    CHECK(model.isa() == isa);
    const Matrix found = model.embed_images(images);
    for (Eigen::Index i = 0; i < found.rows(); ++i) CHECK((found.row(i) - expected.row(i)).norm() < 5e-6f);
  }
}

// Calls on many items, on a tiny model: each item's fate, what is refused, progress, embeddings that keep their length.
#include <atomic>
#include <chrono>
#include <clipon/kernels/profile.hpp>
#include <cmath>
#include <limits>
#include <thread>

#include "embeddings.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

using namespace clipon;

namespace {

Model load_tiny(int threads = 1) {
  LoadOptions options;
  options.threads = threads;
  return Model::load_from_memory(support::tiny_model().bytes(), options);
}

std::vector<float> random_pixels(const Model& model, std::ptrdiff_t n) {
  return support::Random(71).normals(n * 3 * model.image_size() * model.image_size());
}

}  // namespace

TEST_CASE("a status of an earlier batch is forgotten; a failed item says why, its row is NaN, and progress counts it") {
  const Model model = load_tiny();
  std::vector<ItemStatus> status(7);
  status[0] = {false, ErrorCode::io, "of an earlier batch"};
  BatchOptions options;
  options.status = &status;
  std::vector<std::size_t> told;
  options.progress = [&](std::size_t done, std::size_t total) {
    CHECK(total == 3);
    told.push_back(done);
  };
  const Matrix rows = model.embed_texts({"a", "bad \xff", "c"}, options);
  REQUIRE(status.size() == 3);
  CHECK(status[0].ok);
  CHECK(status[0].message.empty());
  CHECK_FALSE(status[1].ok);
  CHECK(status[1].message.find("UTF-8") != std::string::npos);
  CHECK(status[2].ok);
  for (Eigen::Index k = 0; k < rows.cols(); ++k) CHECK(std::isnan(rows(1, k)));
  CHECK(rows.row(2) == model.embed_text("c").transpose());
  CHECK(told == std::vector<std::size_t>{1, 3});  // what failed first, then the pass
  told.clear();
  (void)model.embed_texts({"a", "b", "c"}, options);
  CHECK(told == std::vector<std::size_t>{3});
  (void)model.embed_pixels(random_pixels(model, 3), 3, options);
  CHECK(told == std::vector<std::size_t>{3, 3});
  const std::vector<std::uint8_t> bytes(8 * 8 * 3, 200);
  (void)model.embed_images(std::vector<Image>(3, Image::from_rgb(bytes.data(), 8, 8)), options);
  CHECK(told == std::vector<std::size_t>{3, 3, 3});
}

TEST_CASE("a text that comes more often than it has tokens gets its bits each time") {
  const std::vector<std::string> texts(20, "a cat");
  const Matrix rows = load_tiny().embed_texts(texts);
  const Vector alone = load_tiny().embed_text("a cat");
  for (Eigen::Index i = 0; i < rows.rows(); ++i) CHECK(rows.row(i) == alone.transpose());
}

TEST_CASE("a text ends where it says so") {
  const Model model = load_tiny();
  CHECK(model.embed_text("a<|endoftext|>b") == model.embed_text("a"));
}

TEST_CASE("embeddings that keep their length have the direction of those of unit length, of each kind of input") {
  const Model model = load_tiny();
  const std::vector<float> pixels = random_pixels(model, 2);
  const std::vector<std::uint8_t> bytes(8 * 8 * 3, 200);
  const std::vector<Image> images = {Image::from_rgb(bytes.data(), 8, 8)};
  const std::vector<std::string> texts = {"a cat"};
  BatchOptions as_it_is;
  as_it_is.normalize = false;
  const auto check = [](const Matrix& whole, const Matrix& unit) {
    REQUIRE(whole.rows() == unit.rows());
    for (Eigen::Index i = 0; i < whole.rows(); ++i) {
      CHECK(std::fabs(unit.row(i).norm() - 1.0f) < 1e-6f);
      CHECK(std::fabs(whole.row(i).norm() - 1.0f) > 1e-3f);
      CHECK((whole.row(i).normalized() - unit.row(i)).norm() < 1e-6f);
    }
  };
  check(model.embed_pixels(pixels, 2, as_it_is), model.embed_pixels(pixels, 2));
  check(model.embed_images(images, as_it_is), model.embed_images(images));
  check(model.embed_texts(texts, as_it_is), model.embed_texts(texts));
}

TEST_CASE("own pixels of many pictures, in several passes; counts that do not fit; numbers that are none") {
  const Model model = load_tiny(3);
  const auto picture = static_cast<std::size_t>(3 * model.image_size() * model.image_size());
  std::vector<float> pixels = random_pixels(model, 1000);
  const Matrix all = model.embed_pixels(pixels, 1000);
  for (const std::size_t i : {std::size_t{0}, std::size_t{500}, std::size_t{999}}) {
    const auto one = std::span<const float>(pixels).subspan(i * picture, picture);
    CHECK(all.row(static_cast<Eigen::Index>(i)) == model.embed_pixels(one, 1));
  }
  const auto refused = [&](std::size_t floats, std::size_t n) {
    return support::code_of([&] { (void)model.embed_pixels(std::span<const float>(pixels).first(floats), n); });
  };
  CHECK(refused(2 * picture, 1) == ErrorCode::invalid_argument);
  CHECK(refused(2 * picture, 3) == ErrorCode::invalid_argument);
  CHECK(refused(2 * picture + 1, 2) == ErrorCode::invalid_argument);
}

TEST_CASE("own pixels that are no numbers are refused in each precision, and they alone") {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    LoadOptions options;
    options.threads = 1;
    options.precision = precision;
    const Model model = Model::load_from_memory(support::tiny_model().bytes(), options);
    const auto picture = static_cast<std::size_t>(3 * model.image_size() * model.image_size());
    const std::vector<float> sound = random_pixels(model, 3);
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      std::vector<float> pixels = sound;
      pixels[2 * picture - 1] = bad;
      std::vector<ItemStatus> status;
      BatchOptions batch;
      batch.status = &status;
      const Matrix rows = model.embed_pixels(pixels, 3, batch);
      CHECK(status[0].ok);
      CHECK_FALSE(status[1].ok);
      CHECK(status[1].message == "pixels: expected finite numbers, found NaN or infinity");
      CHECK(status[2].ok);
      CHECK(rows.row(2) == model.embed_pixels(sound, 3).row(2));
    }
  }
}

TEST_CASE("the caller's matrix must have a row for each item and the model's width, and may lie in a wider one") {
  const Model model = load_tiny();
  const std::vector<std::string> texts = {"a", "b"};
  const std::vector<std::uint8_t> bytes(8 * 8 * 3, 200);
  const std::vector<Image> images(2, Image::from_rgb(bytes.data(), 8, 8));
  const std::vector<std::string> paths(2, support::golden_path("pictures/rgb.png"));
  const std::vector<float> pixels = random_pixels(model, 2);
  for (const auto& [rows, columns] : {std::pair{1, 8}, {3, 8}, {2, 7}, {2, 9}}) {
    Matrix out(rows, columns);
    CHECK(support::code_of([&] { model.embed_texts(texts, out); }) == ErrorCode::invalid_argument);
    CHECK(support::code_of([&] { model.embed_images(images, out); }) == ErrorCode::invalid_argument);
    CHECK(support::code_of([&] { model.embed_image_files(paths, out); }) == ErrorCode::invalid_argument);
    CHECK(support::code_of([&] { model.embed_pixels(pixels, 2, out); }) == ErrorCode::invalid_argument);
  }
  Matrix wide = Matrix::Zero(2, 11);
  model.embed_texts(texts, wide.leftCols(8));
  CHECK(wide.leftCols(8) == model.embed_texts(texts));
  model.embed_images(images, wide.leftCols(8));
  CHECK(wide.leftCols(8) == model.embed_images(images));
  model.embed_image_files(paths, wide.leftCols(8));
  CHECK(wide.leftCols(8) == model.embed_image_files(paths));
  model.embed_pixels(pixels, 2, wide.leftCols(8));
  CHECK(wide.leftCols(8) == model.embed_pixels(pixels, 2));
  CHECK(wide.rightCols(3) == Matrix::Zero(2, 3));
}

TEST_CASE("options of decoding and of tokenizing reach the files and the texts") {
  const Model model = load_tiny();
  const std::vector<std::string> paths = {support::golden_path("pictures/rgb.png")};
  BatchOptions options;
  options.decode.max_side = 10;
  CHECK_NOTHROW((void)model.embed_image_files(paths));
  CHECK(support::code_of([&] { (void)model.embed_image_files(paths, options); }) == ErrorCode::image_too_large);
  TokenizeOptions replace;
  replace.replace_invalid_utf8 = true;
  CHECK(support::code_of([&] { (void)model.embed_text("\xff"); }) == ErrorCode::invalid_utf8);
  CHECK(model.embed_text("\xff", replace) == model.embed_text("\xef\xbf\xbd"));
}

TEST_CASE("progress is told by one thread at a time, and grows to the number of items") {
  const Model model = load_tiny(4);
  std::atomic<bool> inside{false};
  std::size_t last = 0;
  bool overlapped = false;
  bool grew = true;
  BatchOptions options;
  options.progress = [&](std::size_t done, std::size_t) {
    overlapped |= inside.exchange(true);
    grew &= done > last;
    last = done;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    inside = false;
  };
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.push_back(std::string(static_cast<std::size_t>(i % 5 + 1), 'a'));
  (void)model.embed_texts(texts, options);
  CHECK(last == texts.size());
  last = 0;
  (void)model.embed_pixels(random_pixels(model, 200), 200, options);
  CHECK(last == 200);
  CHECK_FALSE(overlapped);
  CHECK(grew);
}

TEST_CASE("loading: threads, bytes that lie anywhere, a profile; a file that is too large is named") {
  const auto bytes = support::tiny_model().bytes();
  LoadOptions options;
  for (const int threads : {-1, kMaxThreads + 1}) {
    options.threads = threads;
    CHECK(support::code_of([&] { (void)Model::load_from_memory(bytes, options); }) == ErrorCode::invalid_argument);
  }
  CHECK(Model::load_from_memory(bytes).threads() == parallel::available_threads());
  options.threads = kMaxThreads;
  CHECK(Model::load_from_memory(bytes, options).threads() == kMaxThreads);
  Profile profile;
  options.threads = 1;
  options.profile = &profile;
  std::vector<std::byte> shifted(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
  const Model model = Model::load_from_memory(std::span(shifted).subspan(1), options);
  CHECK(model.embed_text("a") == load_tiny().embed_text("a"));
  CHECK_FALSE(profile.times().empty());
  CHECK(model.threads() == 1);

  const std::string path = support::source_path("models/clipon-demo.gguf");
  LoadOptions small;
  small.max_file_bytes = 1000;
  try {
    (void)Model::load(path, small);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(path) != std::string::npos);
  }
  const std::string text = support::source_path("README.md");
  try {
    (void)Model::load(text);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).starts_with(text + ": "));
  }
}

TEST_CASE("logits are the cosines times the model's scale, and its bias more") {
  support::ModelFile file = support::tiny_model();
  file.key_named("clipon.logit_bias").value = support::raw(-2.5f);
  const Model model = Model::load_from_memory(file.seal().bytes());
  CHECK(model.logit_bias() == -2.5f);
  support::Random random(72);
  const Matrix images = support::unit_rows(random, 3, 8);
  const Matrix texts = support::unit_rows(random, 2, 8);
  const Matrix cosines = similarity(model, images, texts);
  const Matrix found = logits(model, images, texts);
  for (Eigen::Index i = 0; i < 3; ++i) {
    for (Eigen::Index j = 0; j < 2; ++j) {  // two roundings of what is below 128
      CHECK(std::fabs(found(i, j) - (cosines(i, j) * model.logit_scale() - 2.5f)) <= 128 * 0x1p-23f);
    }
  }
}

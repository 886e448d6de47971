// Classifiers saved and loaded: the same answers and options; files of other models, damaged or contradictory ones.
#include <unistd.h>

#include <clipon/format/gguf_writer.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "embeddings.hpp"
#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

// Removes its file.
struct Temporary {
  std::string path;
  explicit Temporary(const char* name)
      : path((std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + name)).string()) {}
  Temporary(const Temporary&) = delete;
  ~Temporary() { std::remove(path.c_str()); }
};

}  // namespace

TEST_CASE("a saved classifier answers as before; another model's is refused, and so is a damaged one") {
  const Model& model = support::demo_model();
  const Temporary file("classifier.gguf");
  ClassifyOptions options;
  options.templates = {"{}", "a picture of {}", "an emoji of {}"};
  options.background = {"something"};
  options.temperature = 1.5f;
  options.top = 2;
  options.reject.min_margin = 0.01f;
  const Classifier made(model, std::vector<Label>{{"pizza", {"a slice of pizza"}}, {"house", {}}}, options);
  made.save(file.path);
  Classifier loaded = Classifier::load(model, file.path);
  CHECK(loaded.labels() == made.labels());
  CHECK(loaded.prototypes() == made.prototypes());
  const auto before = made.classify_embeddings(support::sample_embedding("pizza"))[0];
  const auto after = loaded.classify_embeddings(support::sample_embedding("pizza"))[0];
  REQUIRE(after.size() == before.size());
  CHECK(after[0].probability == before[0].probability);
  CHECK(after[0].chosen == before[0].chosen);
  loaded.add_labels(std::vector<std::string>{"guitar"});  // templates are kept too
  CHECK(loaded.labels().size() == 3);

  std::ifstream stream(file.path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const auto rewrite = [&](const std::string& changed) {
    std::ofstream(file.path, std::ios::binary | std::ios::trunc)
        .write(changed.data(), static_cast<std::streamsize>(changed.size()));
  };
  std::string other = bytes;
  other[other.find("clipon.model_fingerprint") + 24 + 4] ^= 1;  // after the key: its type, then the number
  rewrite(other);
  CHECK(support::code_of([&] { (void)Classifier::load(model, file.path); }) == ErrorCode::bad_value);
  const auto words = [&](std::uint32_t fingerprint) {
    char text[20];
    std::snprintf(text, sizeof text, "%08x", fingerprint);
    return "'" + model.info().name + "', fingerprint " + text;
  };
  const std::string own = words(model.info().fingerprint);
  const std::string why = file.path + ": made with model " + words(model.info().fingerprint ^ 1) + ", expected '" +
                          model.info().name + "', " + own.substr(own.size() - 8);
  CHECK_THROWS_WITH_AS((void)Classifier::load(model, file.path), why.c_str(), Error);
  std::string damaged = bytes;
  damaged[damaged.size() - 40] ^= 1;
  rewrite(damaged);
  CHECK(support::code_of([&] { (void)Classifier::load(model, file.path); }) == ErrorCode::checksum_mismatch);
  for (std::size_t length = 0; length < bytes.size(); length += 97) {
    rewrite(bytes.substr(0, length));
    CHECK_THROWS_AS((void)Classifier::load(model, file.path), Error);
  }
}

TEST_CASE("a saved classifier: any top, and counts of synonyms that it has") {
  const Model& model = support::demo_model();
  const Temporary file("counts.gguf");
  ClassifyOptions options;
  options.top = (std::size_t{1} << 32) + 1;
  Classifier(model, {"pizza", "house"}, options).save(file.path);
  CHECK(Classifier::load(model, file.path).classify_embeddings(support::sample_embedding("pizza"))[0].size() == 2);

  std::ifstream stream(file.path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const std::string key = "clipon.synonym_counts";
  const std::size_t counts =
      bytes.find(key) + key.size() + 4 + 4 + 8;  // after the type, the elements' and their number
  REQUIRE(bytes.substr(counts, 8) == std::string(8, '\0'));
  bytes.replace(counts + 4, 4, support::raw(4000000000u));
  std::ofstream(file.path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(support::code_of([&] { (void)Classifier::load(model, file.path); }) == ErrorCode::bad_value);
}

TEST_CASE("a loaded classifier has every option of the saved one: saved again, it is the same file") {
  const Model& model = support::demo_model();
  const Temporary first("first.gguf");
  const Temporary second("second.gguf");
  const auto content = [](const Temporary& file) {
    std::ifstream stream(file.path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(stream)), {});
  };
  ClassifyOptions options;
  options.templates = {"{}", "a picture of {}", "an emoji of {}"};
  options.background = {"something"};
  options.top = 2;
  options.temperature = 1.5f;
  options.reject = {0.125f, 0.25f, 0.5f};
  options.multi_label = true;
  options.multi_label_threshold = 0.75f;
  options.tokenize.truncate = true;
  Classifier(model, {{"pizza", {"a slice", "a pie"}}, {"house", {}}}, options).save(first.path);
  Classifier::load(model, first.path).save(second.path);
  CHECK(content(first) == content(second));
  Classifier more(model, {{"cat", {}}, {"pizza", {"a slice", "a pie"}}, {"house", {}}}, options);
  more.remove_labels({"cat"});  // what stays keeps its synonyms
  more.save(second.path);
  CHECK(content(first) == content(second));
}

TEST_CASE("a classifier's file whose parts do not fit is refused, by the file's name") {
  const Model& model = support::demo_model();
  const Temporary file("parts.gguf");
  struct Parts {
    std::vector<std::string> synonyms = {"kitten"};
    std::vector<std::uint32_t> counts = {1, 0};
    std::string text = "{}";
    bool more = false;
    std::vector<std::string> labels = {"cat", "dog"};
    double threshold = -3.0;
    bool multi_label = false;
  };
  const auto load = [&](const Parts& parts) {
    const Matrix rows = model.embed_texts({"cat", "dog"});
    format::GgufWriter writer("clipon.classifier");
    writer.u32("clipon.model_fingerprint", model.info().fingerprint);
    writer.string("clipon.model_name", model.info().name);
    writer.strings("clipon.labels", parts.labels);
    writer.strings("clipon.synonyms", parts.synonyms);
    writer.numbers("clipon.synonym_counts", parts.counts);
    writer.strings("clipon.templates", std::vector<std::string>{parts.text});
    // as many prototypes in all, so that a file without labels fits otherwise
    writer.strings("clipon.background", std::vector<std::string>(2 - parts.labels.size(), "something"));
    writer.u32("clipon.top", 0);
    writer.f64("clipon.temperature", 1.0);
    for (const char* key : {"clipon.min_cosine", "clipon.min_margin", "clipon.min_background"})
      writer.f64(key, parts.threshold);
    writer.boolean("clipon.multi_label", parts.multi_label);
    writer.f64("clipon.multi_label_threshold", 0.5);
    writer.boolean("clipon.truncate", false);
    const std::span<const float> values(rows.data(), static_cast<std::size_t>(rows.size()));
    writer.tensor("prototypes", {2, static_cast<std::uint64_t>(model.embed_dim())}, values);
    if (parts.more) writer.tensor("unknown", {3}, values.first(3));
    writer.write(file.path, 1 << 20);
    return Classifier::load(model, file.path);
  };
  CHECK(load({}).labels() == std::vector<std::string>{"cat", "dog"});
  const auto refused = [&](const Parts& parts) {
    try {
      (void)load(parts);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with(file.path));
      return error.code();
    }
    return ErrorCode::io;
  };
  CHECK(refused({{"kitten"}, {1}, "{}", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten"}, {1, 0, 0}, "{}", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten"}, {2, 0}, "{}", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten"}, {1, 1}, "{}", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten", "puppy"}, {1, 0}, "{}", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten"}, {1, 0}, "no place", false}) == ErrorCode::bad_value);
  CHECK(refused({{"kitten"}, {1, 0}, "{}", true}) == ErrorCode::bad_value);
  CHECK(refused({{}, {}, "{}", false, {}}) == ErrorCode::bad_value);
  CHECK(refused({.threshold = std::nan("")}) == ErrorCode::bad_value);
  CHECK(refused({.multi_label = true}) == ErrorCode::bad_value);  // labels weighed against no text
}

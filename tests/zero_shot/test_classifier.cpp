// Prototypes, decisions, changes of the label list; on the embedded model.
#include <cmath>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

const std::vector<std::string> kLabels = {"pizza", "guitar", "house", "red apple"};
const std::vector<std::string> kTemplates = {"{}", "a picture of {}", "an emoji of {}"};

}  // namespace

TEST_CASE("a prototype is the mean of its texts' unit vectors, at unit length; synonyms are further texts") {
  const Model& model = support::demo_model();
  ClassifyOptions options;
  options.templates = kTemplates;
  std::size_t told = 0;
  options.progress = [&](std::size_t done, std::size_t total) {
    CHECK(total == 9);
    told = done;
  };
  const Classifier classifier(model, std::vector<Label>{{"dog", {"puppy"}}, {"cat", {}}}, options);
  CHECK(told == 9);
  for (Eigen::Index label = 0; label < 2; ++label) {
    std::vector<std::string> texts;
    for (const std::string& word :
         label == 0 ? std::vector<std::string>{"dog", "puppy"} : std::vector<std::string>{"cat"}) {
      for (const std::string& text : kTemplates) texts.push_back(fill_template(text, word));
    }
    const Matrix rows = model.embed_texts(texts);
    std::vector<double> mean(static_cast<std::size_t>(rows.cols()));
    double length = 0.0;
    for (Eigen::Index k = 0; k < rows.cols(); ++k) {
      for (Eigen::Index i = 0; i < rows.rows(); ++i) mean[static_cast<std::size_t>(k)] += double{rows(i, k)};
      length += mean[static_cast<std::size_t>(k)] * mean[static_cast<std::size_t>(k)];
    }
    for (Eigen::Index k = 0; k < rows.cols(); ++k) {
      CHECK(double{classifier.prototypes()(label, k)} ==
            doctest::Approx(mean[static_cast<std::size_t>(k)] / std::sqrt(length)).epsilon(1e-5));
    }
  }
}

TEST_CASE("unknown: by cosine, by margin, by background; top and temperature") {
  const Model& model = support::demo_model();
  const Matrix pizza = support::sample_embedding("pizza");
  ClassifyOptions options;
  options.top = 2;
  const auto plain = Classifier(model, kLabels, options).classify_embeddings(pizza)[0];
  REQUIRE(plain.size() == 2);
  CHECK(plain[0].label == "pizza");
  CHECK(plain[0].chosen);
  CHECK_FALSE(plain[1].chosen);

  options.reject.min_cosine = plain[0].cosine + 0.01f;
  CHECK_FALSE(Classifier(model, kLabels, options).classify_embeddings(pizza)[0][0].chosen);
  options.reject = {};
  options.reject.min_margin = plain[0].margin + 0.01f;
  CHECK_FALSE(Classifier(model, kLabels, options).classify_embeddings(pizza)[0][0].chosen);
  options.reject.min_margin = plain[0].margin - 0.01f;
  CHECK(Classifier(model, kLabels, options).classify_embeddings(pizza)[0][0].chosen);

  options.reject = {};
  const std::vector<std::string> wrong = {"guitar", "house"};
  options.background = {"pizza"};
  const auto against = Classifier(model, wrong, options).classify_embeddings(pizza)[0];
  CHECK_FALSE(against[0].chosen);
  CHECK(against[0].probability < 0.1f);  // the background took its part of the softmax
  options.background = {"umbrella"};
  CHECK(Classifier(model, kLabels, options).classify_embeddings(pizza)[0][0].chosen);
}

TEST_CASE("multi-label: each label's probability is its softmax against the background alone") {
  const Model& model = support::demo_model();
  const Matrix pizza = support::sample_embedding("pizza");
  ClassifyOptions options;
  options.multi_label = true;
  options.background = {"a picture"};
  const auto ranked = Classifier(model, kLabels, options).classify_embeddings(pizza)[0];
  CHECK(ranked[0].label == "pizza");
  CHECK(ranked[0].chosen);
  const auto background = static_cast<float>(support::dot(pizza, 0, model.embed_texts({"a picture"}), 0));
  for (const Prediction& p : ranked) {
    ClassifyOptions pair;
    const auto two = Classifier(model, {p.label, "a picture"}, pair).classify_embeddings(pizza)[0];
    const float expected = two[0].label == p.label ? two[0].probability : two[1].probability;
    CHECK(std::fabs(p.probability - expected) < 1e-5f);
    CHECK(p.chosen == (p.probability >= 0.5f));
    CHECK(std::fabs(p.margin - (p.cosine - background)) < 1e-6f);
  }
  // of several background texts the mean counts: how many they are must not
  options.background = {"a picture", "a picture"};
  const auto again = Classifier(model, kLabels, options).classify_embeddings(pizza)[0];
  for (std::size_t k = 0; k < ranked.size(); ++k) {
    CHECK(std::fabs(again[k].probability - ranked[k].probability) < 1e-5f);
  }
  options.multi_label_threshold = again[2].probability;  // which is reached exactly
  const auto likely = Classifier(model, kLabels, options).classify_embeddings(pizza)[0];
  REQUIRE(again[2].probability > again[3].probability);
  for (std::size_t k = 0; k < 4; ++k) CHECK(likely[k].chosen == (k < 3));
  options.background.clear();
  CHECK(Classifier(model, kLabels, options).options().background == default_background());
}

TEST_CASE("labels come and go without touching the others' prototypes") {
  const Model& model = support::demo_model();
  ClassifyOptions options;
  options.templates = kTemplates;
  options.background = {"something"};
  const Classifier whole(model, kLabels, options);
  Classifier grown(model, std::vector<std::string>{"pizza", "guitar"}, options);
  grown.add_labels(std::vector<std::string>{"house", "red apple"});
  CHECK(grown.labels() == kLabels);
  CHECK(grown.prototypes() == whole.prototypes());
  Classifier shrunk = whole;
  shrunk.add_labels(std::vector<std::string>{"cat"});
  shrunk.remove_labels({"cat", "guitar"});
  CHECK(shrunk.labels() == std::vector<std::string>{"pizza", "house", "red apple"});
  CHECK(shrunk.prototypes() == Classifier(model, {"pizza", "house", "red apple"}, options).prototypes());
  CHECK(shrunk.classify_embeddings(support::sample_embedding("house"))[0][0].label == "house");
  CHECK(support::code_of([&] { shrunk.remove_labels({"zebra"}); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] {
          shrunk.remove_labels({"pizza", "house", "red apple"});
        }) == ErrorCode::invalid_argument);
  CHECK(shrunk.labels().size() == 3);
}

TEST_CASE("labels and texts may be lists in braces of any length") {
  const Model& model = support::demo_model();
  const Classifier one(model, {"pizza"});
  const Classifier two(model, {"pizza", "house"});
  Classifier three(model, {"pizza", "house", "tulip"}, {});
  const Classifier named(model, {{"pizza", {"slice of pizza"}}, {"house", {}}});
  CHECK(one.labels().size() == 1);
  CHECK(named.labels() == two.labels());
  three.add_labels({"cat", "dog"});
  three.add_labels({{"bird", {"eagle"}}, {"fish", {}}});
  CHECK(three.labels().size() == 7);
  CHECK(three.prototypes().row(1) == two.prototypes().row(1));
  CHECK(model.embed_texts({"pizza", "house"}) == two.prototypes());
}

TEST_CASE("beside labels, braces of texts are templates, of others options") {
  const Model& model = support::demo_model();
  const std::vector<std::string> labels = {"pizza", "house"};
  const std::vector<std::string> templates = {"a photo of a {}.", "{}"};
  CHECK(Classifier(model, labels, {.top = 1}).options().top == 1);
  CHECK(Classifier(model, labels, {}).options().templates == ClassifyOptions{}.templates);
  CHECK(Classifier(model, labels, templates).options().templates == templates);
  CHECK(Classifier(model, labels, {"a photo of a {}.", "{}"}).options().templates == templates);
  CHECK(Classifier(model, labels, {templates[1]}).options().templates == std::vector<std::string>{"{}"});
  CHECK(Classifier(model, labels, {.templates = templates, .top = 0}).options().templates == templates);
}

TEST_CASE("what is not finite gets no labels") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, {"pizza", "house"});
  Matrix rows = classifier.prototypes();
  rows(0, rows.cols() - 1) = std::numeric_limits<float>::quiet_NaN();
  const auto found = classifier.classify_embeddings(rows);
  CHECK(found[0].empty());
  REQUIRE(found[1].size() == 2);
  CHECK(found[1][0].label == "house");
  CHECK(classifier.classify_embeddings(rows, 1)[1].size() == 1);
  Matrix apart = Matrix::Constant(2, rows.cols() + 1, std::numeric_limits<float>::quiet_NaN());
  apart.leftCols(rows.cols()) = classifier.prototypes();
  const auto finite = classifier.classify_embeddings(apart.leftCols(rows.cols()));  // what lies between does not count
  for (std::size_t i = 0; i < 2; ++i) CHECK(finite[i].size() == 2);
}

TEST_CASE("accuracy: the share of rows whose nearest label is theirs; a row that is not finite is wrong") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, {"pizza", "house", "guitar"});
  Matrix rows = classifier.prototypes();
  const std::vector<std::size_t> own = {0, 1, 2};
  const std::vector<std::size_t> two = {0, 1};
  CHECK(classifier.accuracy(rows, own) == 1.0);
  CHECK(classifier.accuracy(rows, std::vector<std::size_t>{0, 2, 1}) == doctest::Approx(1.0 / 3.0));
  CHECK(classifier.accuracy(rows.topRows(0), {}) == 0.0);
  CHECK_THROWS_WITH_AS((void)classifier.accuracy(rows, two), "classes: expected one for each of 3 rows, found 2",
                       Error);
  CHECK(support::code_of([&] { (void)classifier.accuracy(rows.leftCols(3), own); }) == ErrorCode::invalid_argument);
  rows(0, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(classifier.accuracy(rows, own) == doctest::Approx(2.0 / 3.0));
}

TEST_CASE("pictures in braces") {
  const Model& model = support::demo_model();
  const Classifier classifier(model, {"pizza", "house"});
  const auto picture = [](const char* name) { return Image::read(support::source_path("models/samples/") + name); };
  const auto both = classifier.classify({picture("pizza.png"), picture("house.png")});
  REQUIRE(both.size() == 2);
  CHECK(both[0].front().label == "pizza");
  CHECK(both[1].front().label == "house");
}

TEST_CASE("a label that can not be read is named") {
  const Model& model = support::demo_model();
  const auto said = [&](const std::vector<Label>& labels, const std::string& background) {
    ClassifyOptions options;
    options.templates = {"{}", "a {}"};
    options.background = {"nothing", background};
    try {
      const Classifier classifier(model, labels, options);
    } catch (const Error& error) {
      return std::string(to_string(error.code())) + ": " + error.what();
    }
    return std::string("no error");
  };
  CHECK(said({{"food", {"pizza", "soup"}}, {"coffee", {"tea", "caf\xe9"}}}, "a") ==
        "invalid_utf8: labels[1]: text 'caf\\xe9': expected UTF-8, found an ill-formed sequence at byte 3");
  CHECK(said({{"food", {"pizza"}}, {"tea", {}}}, "caf\xe9") ==
        "invalid_utf8: background[1]: text 'caf\\xe9': expected UTF-8, found an ill-formed sequence at byte 3");
  CHECK(said({{"food", {"pizza"}}, {"tea", {""}}}, "a") ==
        "invalid_argument: labels[1]: expected words, found an empty synonym");
  for (const char* blank : {"", " \t", "\u00a0", "\u3000\n"}) {
    CHECK(said({{"food", {}}, {blank, {}}}, "a") ==
          "invalid_argument: labels[1]: expected words, found an empty label");
  }
  std::string label;
  for (int i = 0; i < 60; ++i) label += "cat ";
  CHECK(said({{"dog", {}}, {label, {}}}, "a") ==
        "text_too_long: labels[1]: text 'cat cat cat cat cat cat cat cat cat cat ...': expected at most 32 tokens, "
        "found 62");
}

TEST_CASE("labels and templates that make no sense are refused by name") {
  const Model& model = support::demo_model();
  const auto refused = [&](const std::vector<std::string>& labels, const ClassifyOptions& options) {
    return support::code_of([&] { const Classifier classifier(model, labels, options); });
  };
  ClassifyOptions options;
  CHECK(refused({}, options) == ErrorCode::invalid_argument);
  CHECK(refused({"cat", " "}, options) == ErrorCode::invalid_argument);
  options.templates = {"no place"};
  CHECK(refused({"cat"}, options) == ErrorCode::invalid_argument);
  options.templates = {};
  CHECK(refused({"cat"}, options) == ErrorCode::invalid_argument);
  options = {};
  const Classifier sound(model, {"cat", "dog"});
  CHECK(support::code_of([&] { (void)sound.classify_embeddings(sound.prototypes().leftCols(5)); }) ==
        ErrorCode::invalid_argument);
  for (const char* blank : {"", " ", "\t", "\r", "\n"})
    CHECK(refused({"cat", blank}, options) == ErrorCode::invalid_argument);
  options.temperature = 1e-6f;
  CHECK_NOTHROW(Classifier(model, {"cat"}, options));
  for (const float temperature :
       {0.0f, 1e-38f, 3e38f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    options.temperature = temperature;
    CHECK(refused({"cat"}, options) == ErrorCode::invalid_argument);
  }
  options = {};
  for (const float threshold : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    options.multi_label_threshold = threshold;
    CHECK(refused({"cat"}, options) == ErrorCode::invalid_argument);
  }
  options = {};
  options.background = {"something", " "};
  CHECK(refused({"cat"}, options) == ErrorCode::invalid_argument);
}

TEST_CASE("an answer that reaches its threshold exactly is chosen") {
  const Model& model = support::demo_model();
  const Matrix pizza = support::sample_embedding("pizza");
  ClassifyOptions options;
  options.background = {"umbrella"};
  const Ranking found = Classifier(model, kLabels, options).rank(pizza, 1);
  options.reject = {found.cosine[0], found.margin[0], found.cosine[0] - found.background[0]};
  CHECK(Classifier(model, kLabels, options).classify_embeddings(pizza)[0][0].chosen);
}

TEST_CASE("synonyms are checked as labels are, and the options of tokenizing reach them") {
  const Model& model = support::demo_model();
  CHECK(support::code_of([&] {
          const Classifier c(model, {{"cat", {" "}}, {"dog", {}}});
        }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { const Classifier c(model, {"cat", "\t"}); }) == ErrorCode::invalid_argument);
  std::string label;
  for (int i = 0; i < 60; ++i) label += "cat ";
  CHECK(support::code_of([&] { const Classifier c(model, std::vector<std::string>{label}); }) ==
        ErrorCode::text_too_long);
  ClassifyOptions options;
  options.tokenize.truncate = true;
  CHECK_NOTHROW(Classifier(model, std::vector<std::string>{label}, options));
}

// Files that users have: a classifier and a probe of the embedded model, saved by an earlier build, still load, belong
// to it, and answer as they did.  tests/golden/saved, made in models/samples by
//   clipon classify pizza.png --labels pizza,guitar,house --template {} --template "a picture of {}"
//     --background something --temperature 1.5 --save classifier.gguf
//   clipon probe train table.csv -o probe.gguf --c 10       (pizza, red-apple and tulip are "food", the others "thing")
#include <clipon/clipon.hpp>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

TEST_CASE("a classifier and a probe that an earlier build saved answer as they did") {
  const Model& model = support::demo_model();
  CHECK(model.info().fingerprint == 0x32298629u);  // of models/clipon-demo.gguf, in every such file and index
  const auto pizza = support::sample_embedding("pizza");

  const auto classifier = Classifier::load(model, support::source_path("tests/golden/saved/classifier.gguf"));
  CHECK(classifier.labels() == std::vector<std::string>{"pizza", "guitar", "house"});
  CHECK(classifier.options().templates == std::vector<std::string>{"{}", "a picture of {}"});
  CHECK(classifier.options().background == std::vector<std::string>{"something"});
  CHECK(classifier.options().temperature == 1.5f);
  const auto answers = classifier.classify_embeddings(pizza)[0];
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].label == "pizza");
  CHECK(double{answers[0].cosine} == doctest::Approx(0.6005383).epsilon(1e-5));
  CHECK(double{answers[0].probability} == doctest::Approx(0.9835516).epsilon(1e-4));
  CHECK(answers[1].label == "house");
  CHECK(double{answers[1].cosine} == doctest::Approx(0.3254616).epsilon(1e-5));

  const auto probe = LinearProbe::load(model, support::source_path("tests/golden/saved/probe.gguf"));
  CHECK(probe.labels() == std::vector<std::string>{"thing", "food"});
  CHECK(probe.c() == 10.0);
  const auto found = probe.classify_embeddings(pizza)[0];
  REQUIRE(found.size() == 2);
  CHECK(found[0].label == "food");
  CHECK(double{found[0].probability} == doctest::Approx(0.8578126).epsilon(1e-4));
}

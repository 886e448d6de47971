// What is computed with embeddings, beside the caller's floating-point environment (core/floating_point.hpp).
#include <cfenv>
#include <clipon/clipon.hpp>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

using Bits = std::vector<double>;

Bits bits_of(const Matrix& m) {
  return {m.data(), m.data() + m.size()};
}

Bits stored_bits(DataType type, const Matrix& rows) {
  StoredVectors stored(type, rows.cols());
  stored.append(rows);
  const VectorsView view = stored.view();
  const auto* bytes = static_cast<const unsigned char*>(view.data);
  Bits bits(bytes, bytes + static_cast<std::size_t>(view.rows * view.width) * size_of(type));
  if (view.scale != nullptr) bits.insert(bits.end(), view.scale, view.scale + view.rows);
  return bits;
}

Bits scores(const Matrix& rows) {
  StoredVectors stored(DataType::f32, rows.cols());
  stored.append(rows);
  Bits all;
  for (const auto& group : duplicate_groups(stored.view(), 0.1f)) {
    for (const Match& member : group) all.push_back(double{member.score});
  }
  return all;
}

Bits probabilities(const LinearProbe& probe, const Matrix& rows) {
  Bits all;
  for (const auto& predictions : probe.classify_embeddings(rows)) {
    for (const Prediction& one : predictions) all.push_back(double{one.probability});
  }
  return all;
}

Bits ranked(const Classifier& classifier, const Matrix& rows) {
  const Ranking ranking = classifier.rank(rows);
  Bits all(ranking.probability.begin(), ranking.probability.end());
  all.insert(all.end(), ranking.margin.begin(), ranking.margin.end());
  return all;
}

Bits thresholds(Classifier classifier, const Matrix& rows, const std::vector<std::size_t>& classes) {
  Bits all;
  for (const RuleReport& report : classifier.calibrate(rows, classes, 0.5)) {
    all.insert(all.end(), {double{report.threshold}, report.precision, report.coverage, report.auroc_right});
  }
  return all;
}

Bits found(const Matrix& rows) {
  StoredVectors stored(DataType::f32, rows.cols());
  stored.append(rows);
  Bits all;
  for (const Match& match : search(stored.view(), rows.row(1).transpose())) all.push_back(double{match.score});
  return all;
}

}  // namespace

TEST_CASE("cosines, losses, gradients, stored rows and probabilities are the same whatever the caller's rounding") {
  const Model& model = support::demo_model();
  support::Random random(96);
  const Matrix images = support::unit_rows(random, 40, 24);
  const Matrix texts = support::clustered_rows(random, 40, 24, images, 0.4f);
  const Matrix small = 1e-4f * images;
  const Matrix wide = support::unit_rows(random, 12, model.embed_dim());
  const std::vector<std::size_t> classes = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
  const std::vector<std::string> names = {"a", "b", "c"};
  std::vector<std::size_t> own(40);
  std::iota(own.begin(), own.end(), std::size_t{0});
  const std::vector<std::size_t> ranks = {1, 5};
  const LinearProbe probe = LinearProbe::train(model, wide, classes, names, {});
  ClassifyOptions with_background;
  with_background.background = {"something else"};
  with_background.temperature = 0.7f;
  const Classifier classifier(model, {Label{"pizza"}, Label{"guitar"}, Label{"house"}}, with_background);
  const TipAdapter adapter(classifier, wide, classes);
  const std::pair<std::string, std::function<Bits()>> calls[] = {
      {"cosine", [&] { return Bits{double{similarity(Vector(images.row(0)), Vector(texts.row(0)))}}; }},
      {"search", [&] { return found(images); }},
      {"rank", [&] { return ranked(classifier, wide); }},
      {"calibrate", [&] { return thresholds(classifier, wide, classes); }},
      {"accuracy", [&] { return Bits{classifier.accuracy(wide, classes)}; }},
      {"recall", [&] { return recall_at(model, images, texts, own, ranks).image_to_text; }},
      {"Tip-Adapter", [&] { return bits_of(adapter.logits(wide)); }},
      {"similarity", [&] { return bits_of(similarity(model, images, texts)); }},
      {"logits", [&] { return bits_of(logits(model, images, texts)); }},
      {"softmax",
       [&] {
         Matrix m = images;
         softmax(m.data(), static_cast<std::size_t>(m.size()));
         return bits_of(m);
       }},
      {"loss", [&] { return Bits{contrastive_loss(model, images, texts, 30.0f)}; }},
      {"gradients",
       [&] {
         const auto found = contrastive_gradients(model, images, texts, 30.0f);
         Bits all = bits_of(found.images);
         all.push_back(found.logit_scale);
         return all;
       }},
      {"float16", [&] { return stored_bits(DataType::f16, images); }},
      {"float16, small", [&] { return stored_bits(DataType::f16, small); }},
      {"int8", [&] { return stored_bits(DataType::i8, images); }},
      {"duplicate_groups", [&] { return scores(texts); }},
      {"probe", [&] { return probabilities(probe, wide); }},
  };
  for (const auto& call : calls) {
    CAPTURE(call.first);
    const Bits expected = call.second();
    REQUIRE_FALSE(expected.empty());
    for (const int rounding : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      std::fesetround(rounding);
      const Bits found = call.second();
      std::fesetround(FE_TONEAREST);
      CHECK((found == expected));
    }
  }
}

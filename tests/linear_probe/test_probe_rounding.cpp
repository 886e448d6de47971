// A probe's training beside the caller's floating-point environment (core/floating_point.hpp).
#include <cfenv>
#include <clipon/clipon.hpp>
#include <string>
#include <vector>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

TEST_CASE("a probe is the same whatever the caller's rounding and the number of threads") {
  const std::vector<std::string> labels = {"pizza", "guitar", "house"};
  support::Random random(95);
  const Matrix centres = support::unit_rows(random, 3, support::demo_model().embed_dim());
  const Matrix rows = support::clustered_rows(random, 60, centres.cols(), centres, 0.7f);
  std::vector<std::size_t> classes;
  for (std::size_t i = 0; i < 60; ++i) classes.push_back(i % 3);
  const auto bits_of = [&](const Model& model, int rounding) {
    std::fesetround(rounding);
    const auto probe = LinearProbe::train(model, rows, classes, labels, {});
    std::fesetround(FE_TONEAREST);
    return Matrix(probe.weights());
  };
  const Matrix expected = bits_of(support::demo_model(), FE_TONEAREST);
  for (const int threads : {1, 2, 3}) {
    CAPTURE(threads);
    LoadOptions options;
    options.threads = threads;
    const Model model = Model::load_demo(options);
    CHECK((bits_of(model, FE_TONEAREST) == expected));
    CHECK((bits_of(model, FE_UPWARD) == expected));
  }
}

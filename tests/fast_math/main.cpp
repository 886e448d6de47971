// clipon compiled with -ffast-math, under which comparisons with NaN mean nothing: bad numbers must still be refused.
#include <clipon/clipon.hpp>
#include <cstdio>
#include <limits>

#include "tiny_model.hpp"

namespace {

int failed = 0;

template <class Body>
void refused(const char* what, clipon::ErrorCode code, const Body& body) {
  try {
    body();
  } catch (const clipon::Error& error) {
    if (error.code() == code) return;
  }
  std::printf("%s: expected %s\n", what, clipon::to_string(code));
  ++failed;
}

void load(const support::ModelFile& file) {
  clipon::LoadOptions options;
  options.threads = 2;
  (void)clipon::Model::load_from_memory(file.bytes(), options);
}

}  // namespace

int main() {
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800000u, 0xff800000u}) {  // NaN, infinity, -infinity
    for (const std::size_t t : {std::size_t{0}, std::size_t{5}}) {
      support::ModelFile file = support::tiny_model();
      file.tensors[t].data.replace(4, 4, support::raw(bits));
      refused("a weight", clipon::ErrorCode::not_finite, [&] { load(file.seal()); });
    }
    for (const char* key : {"clipon.logit_scale", "clip.text.attention.layer_norm_epsilon"}) {
      support::ModelFile file = support::tiny_model();
      file.key_named(key).value = support::raw(bits);
      refused(key, clipon::ErrorCode::bad_value, [&] { load(file); });
    }
  }
  const auto model = clipon::Model::load_from_memory(support::tiny_model().bytes());
  std::vector<float> pixels(static_cast<std::size_t>(3 * model.image_size() * model.image_size()), 0.5f);
  pixels[7] = std::numeric_limits<float>::quiet_NaN();
  refused("a pixel", clipon::ErrorCode::not_finite, [&] { (void)model.embed_pixels(pixels, 1); });
  const float rows[] = {1.0f, std::numeric_limits<float>::quiet_NaN(), 2.0f, std::numeric_limits<float>::quiet_NaN()};
  const auto found = clipon::search({rows, clipon::DataType::f32, 4, 1}, clipon::Vector::Ones(1));
  if (found.size() != 2 || found[0].row != 2 || found[1].row != 0) {
    std::printf("search: expected the two rows that are numbers, found %zu\n", found.size());
    ++failed;
  }
  std::printf("%d failed\n", failed);
  return failed == 0 ? 0 : 1;
}

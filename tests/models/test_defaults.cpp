// What is taken where nothing is said: documented numbers and sentences, which users' results depend on.
#include <clipon/clipon.hpp>
#include <string>
#include <vector>

#include "support.hpp"

using namespace clipon;

TEST_CASE("defaults: limits of SECURITY.md") {
  const LoadOptions load;
  CHECK(load.max_file_bytes == 17'179'869'184);  // 16 GiB
  CHECK(load.max_tensors == 8192);
  CHECK(load.max_metadata_keys == 1024);
  CHECK(load.max_string_bytes == 1'048'576);
  CHECK(load.max_array_length == 1'048'576);
  CHECK(load.verify_checksums);
  CHECK(load.memory_map);
  CHECK_FALSE(load.allow_non_finite);
  const DecodeOptions decode;
  CHECK(decode.max_pixels == 89'478'485);
  CHECK(decode.max_side == 65'535);
  CHECK(decode.max_file_bytes == 67'108'864);        // 64 MiB
  CHECK(decode.max_decoder_bytes == 1'073'741'824);  // 1 GiB
  CHECK_FALSE(decode.apply_exif_orientation);
  const TokenizeOptions tokenize;
  CHECK(tokenize.max_bytes == 16'777'216);  // 16 MiB
  CHECK_FALSE(tokenize.truncate);
  CHECK_FALSE(tokenize.replace_invalid_utf8);
  CHECK(kMaxThreads == 1024);
}

TEST_CASE("defaults: f32, all threads, the best instruction set; sentences, texts of the background, constants") {
  CHECK(LoadOptions().precision == Precision::f32);
  CHECK(LoadOptions().threads == 0);
  CHECK(LoadOptions().isa == Isa::best);
  CHECK(ClassifyOptions().templates == std::vector<std::string>{"{}"});
  CHECK(ClassifyOptions().background.empty());
  CHECK(ClassifyOptions().temperature == 1.0f);
  CHECK(template_set("none") == std::vector<std::string>{"{}"});
  CHECK(template_set("plain") == std::vector<std::string>{"a photo of a {}."});
  const std::vector<std::string> ensemble = {
      "{}",
      "a photo of a {}.",
      "a close-up photo of the {}.",
      "a small picture of {}",
      "a drawing of a {}.",
      "an icon of {}",
      "a blurry photo of a {}.",
      "this is a {}.",
  };
  CHECK(template_set("ensemble") == ensemble);
  const std::vector<std::string> background = {"a photo",   "a picture", "an image", "a photo of something",
                                               "a drawing", "an object"};
  CHECK(default_background() == background);
  CHECK(ProbeOptions().c == 31.6);
  CHECK(ProbeOptions().max_iterations == 1000);
  CHECK(TipAdapterOptions().alpha == 1.0f);
  CHECK(TipAdapterOptions().beta == 5.5f);  // Zhang et al. 2022
  CHECK(SearchOptions().top == 10);
}

// Files of probes whose parts do not fit.
#include <unistd.h>

#include <clipon/format/gguf_writer.hpp>
#include <cstdio>
#include <filesystem>

#include "support.hpp"

using namespace clipon;

TEST_CASE("a probe's file without labels, or of more than it should hold, is refused") {
  const Model& model = support::demo_model();
  const std::string path =
      (std::filesystem::temp_directory_path() / ("clipon-probe-parts-" + std::to_string(::getpid()))).string();
  const std::vector<std::string> two = {"cat", "dog"};
  const auto load = [&](const std::vector<std::string>& labels, bool more, double c = 1.0) {
    format::GgufWriter writer("clipon.linear_probe");
    writer.u32("clipon.model_fingerprint", model.info().fingerprint);
    writer.string("clipon.model_name", model.info().name);
    writer.strings("clipon.labels", labels);
    writer.f64("clipon.c", c);
    const auto width = static_cast<std::uint64_t>(model.embed_dim());
    const std::vector<float> numbers(labels.size() * width, 0.5f);
    if (!labels.empty()) writer.tensor("weight", {labels.size(), width}, numbers);
    if (!labels.empty()) writer.tensor("bias", {labels.size()}, std::span(numbers).first(labels.size()));
    if (more) writer.tensor("unknown", {1}, std::span(numbers).first(1));
    writer.write(path, 1 << 20);
    return LinearProbe::load(model, path);
  };
  const LinearProbe probe = load(two, false);
  CHECK(probe.labels() == two);
  const std::vector<std::size_t> one_class = {0};  // for two rows
  CHECK(support::code_of([&] { (void)probe.accuracy(probe.weights(), one_class); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)load(two, true); }) == ErrorCode::bad_value);
  CHECK(support::code_of([&] { (void)load({}, false); }) == ErrorCode::bad_value);
  CHECK(support::code_of([&] { (void)load(two, false, -1.0); }) == ErrorCode::bad_value);
  std::remove(path.c_str());
}

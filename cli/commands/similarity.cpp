// clipon similarity: the cosine of each picture with each text.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "commands/embed_all.hpp"
#include "inputs.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct SimilarityOptions {
  std::vector<std::string> images;
  std::string texts;
  std::string out;
};

void print_table(const std::vector<std::string>& paths, const std::vector<std::string>& texts,
                 const clipon::Matrix& cosines) {
  for (std::size_t t = 0; t < texts.size(); ++t) std::printf("[%zu] %s\n", t, printable(texts[t]).c_str());
  std::size_t width = 0;
  for (const std::string& path : paths) width = std::max(width, width_of(printable(path)));
  std::printf("%*s", static_cast<int>(width), "");
  for (std::size_t t = 0; t < texts.size(); ++t) std::printf(" %7s", ("[" + std::to_string(t) + "]").c_str());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::printf("\n%s", padded(printable(paths[i]), width).c_str());
    for (Eigen::Index t = 0; t < cosines.cols(); ++t) {
      std::printf(" %7.4f", static_cast<double>(cosines(static_cast<Eigen::Index>(i), t)));
    }
  }
  std::printf("\n");
}

void print_json(const clipon::Model& model, const std::vector<std::string>& paths,
                const std::vector<std::string>& texts, const clipon::Matrix& cosines) {
  nlohmann::ordered_json out = {{"model", model.info().name}, {"images", paths}, {"texts", texts}};
  out["logit_scale"] = model.logit_scale();
  out["cosines"] = nlohmann::ordered_json::array();
  for (Eigen::Index i = 0; i < cosines.rows(); ++i) {
    const float* row = cosines.row(i).data();
    out["cosines"].push_back(std::vector<float>(row, row + cosines.cols()));  // NaN becomes null
  }
  std::cout << json_text(out);
}

ExitCode run_similarity(const SimilarityOptions& options, const Settings& settings) {
  const auto paths = expand_pictures(options.images);
  const auto texts = read_texts(options.texts);
  expect_writable(options.out);
  const clipon::Model model = load_model(settings);
  const Embedded images = embed_pictures(model, settings, paths, true);
  const Embedded sentences = embed_texts(model, settings, texts, true);
  const clipon::Matrix cosines = clipon::similarity(model, images.rows, sentences.rows);
  if (!options.out.empty()) write_npy(options.out, cosines);
  if (settings.json) {
    print_json(model, paths, texts, cosines);
  } else if (options.out.empty()) {
    print_table(paths, texts, cosines);
  } else {
    std::printf("%s: %zd x %zd float32\n", options.out.c_str(), cosines.rows(), cosines.cols());
  }
  const std::size_t failed = report_failures(paths, images.status) + report_failures(texts, sentences.status);
  return failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_similarity(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("similarity", "Cosines of pictures and texts");
  auto options = std::make_shared<SimilarityOptions>();
  command->add_option("--images", options->images, "Picture files, or folders of them")->required();
  command->add_option("--texts", options->texts, "Texts, one a line or a .json array")->required();
  command->add_option("-o,--out", options->out, "A .npy file instead of a table: float32 [images, texts]")
      ->check(file_name());
  command->callback(
      [=, &settings, &action] { action = [=, &settings] { return run_similarity(*options, settings); }; });
}

}  // namespace cli

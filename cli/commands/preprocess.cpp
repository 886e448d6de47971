// clipon preprocess: what the image tower sees of a picture.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct PreprocessOptions {
  std::string picture;
  std::string out;
};

ExitCode run_preprocess(const PreprocessOptions& options, const Settings& settings) {
  const clipon::Model model = load_model(settings);
  const clipon::Image image = clipon::Image::read(options.picture, decode_options(settings));
  const auto size = model.image_size();
  write_npy(options.out, model.preprocess(image), {size, size, 3});
  if (settings.json) {
    std::cout << json_text(
        {{"out", options.out}, {"shape", {size, size, 3}}, {"from", {image.height(), image.width()}}});
    return ExitCode::success;
  }
  std::printf("%s: %zd x %zd x 3 uint8 from %zd x %zd pixels\n", options.out.c_str(), size, size, image.width(),
              image.height());
  return ExitCode::success;
}

}  // namespace

void add_preprocess(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("preprocess", "Write a picture after resize and crop to a .npy file");
  auto options = std::make_shared<PreprocessOptions>();
  command->add_option("picture", options->picture, "A picture file")->required();
  command->add_option("-o,--out", options->out, "The .npy file: uint8 [height, width, 3]")
      ->required()
      ->check(file_name());
  command->callback(
      [=, &settings, &action] { action = [=, &settings] { return run_preprocess(*options, settings); }; });
}

}  // namespace cli

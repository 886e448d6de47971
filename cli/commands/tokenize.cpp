// clipon tokenize: texts to token ids.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "inputs.hpp"

namespace cli {

namespace {

struct TokenizeOptions {
  std::vector<std::string> texts;
  std::string file;
};

ExitCode run_tokenize(const TokenizeOptions& options, const Settings& settings) {
  if (options.texts.empty() == options.file.empty()) {
    throw UsageError("tokenize: expected either texts or --texts FILE");
  }
  const auto texts = options.file.empty() ? options.texts : read_texts(options.file);
  const clipon::Model model = load_model(settings);
  const clipon::TokenizeOptions how = tokenize_options(settings);
  ExitCode code = ExitCode::success;
  for (const std::string& text : texts) {
    try {
      std::printf("%s\n", nlohmann::json(model.tokenizer().tokenize(text, how)).dump().c_str());
    } catch (const clipon::Error& error) {
      std::printf("null\n");  // a line a text, come what may
      std::fprintf(stderr, "clipon: %s\n", error.what());
      code = ExitCode::some_failed;
    }
  }
  return code;
}

}  // namespace

void add_tokenize(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("tokenize", "Print token ids with start and end, one JSON array a line");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("text", options->texts, "Texts");
  command->add_option("--texts", options->file, "Texts, one a line or a .json array");
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_tokenize(*options, settings); }; });
}

}  // namespace cli

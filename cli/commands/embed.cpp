// clipon embed: pictures or texts to a NumPy array.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "commands/embed_all.hpp"
#include "inputs.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct EmbedOptions {
  std::vector<std::string> images;
  std::string texts;
  std::string out;
  bool raw = false;
};

// out.npy -> out.paths.jsonl
std::string rows_file(const std::string& out) {
  return (out.ends_with(".npy") ? out.substr(0, out.size() - 4) : out) + ".paths.jsonl";
}

// {path or text, ok, error} a row
void write_rows(const std::string& path, const std::vector<std::string>& names, const Embedded& embedded,
                bool pictures) {
  std::string lines;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& status = embedded.status[i];
    nlohmann::ordered_json row = pictures ? path_json(names[i]) : nlohmann::ordered_json{{"text", names[i]}};
    row.update({{"ok", status.ok}, {"error", status.message}});
    lines += json_text(row, -1);
  }
  write_text(path, lines);
}

ExitCode run_embed(const EmbedOptions& options, const Settings& settings) {
  if (options.images.empty() == options.texts.empty()) {
    throw UsageError("embed: expected either --images PATH... or --texts FILE");
  }
  const bool pictures = !options.images.empty();
  const auto names = pictures ? expand_pictures(options.images) : read_texts(options.texts);
  const std::string rows = rows_file(options.out);
  for (const auto& out : {options.out, rows}) expect_writable(out);
  const clipon::Model model = load_model(settings);
  const Embedded embedded = pictures ? embed_pictures(model, settings, names, !options.raw)
                                     : embed_texts(model, settings, names, !options.raw);
  write_npy(options.out, embedded.rows);
  write_rows(rows, names, embedded, pictures);
  const std::size_t failed = report_failures(names, embedded.status);
  if (settings.json) {
    const nlohmann::ordered_json summary = {{"out", options.out},
                                            {"shape", {embedded.rows.rows(), embedded.rows.cols()}},
                                            {"failed", failed},
                                            {"model", model.info().name},
                                            {"precision", to_string(model.precision())},
                                            {"isa", to_string(model.isa())}};
    std::cout << json_text(summary, -1);
  } else {
    std::printf("%s: %zd x %zd float32, %zu failed\n", options.out.c_str(), embedded.rows.rows(), embedded.rows.cols(),
                failed);
  }
  return failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_embed(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("embed", "Write embeddings of pictures or texts to a .npy file");
  auto options = std::make_shared<EmbedOptions>();
  command->add_option("--images", options->images, "Picture files, or folders of them");
  command->add_option("--texts", options->texts, "Texts, one a line or a .json array");
  command->add_option("-o,--out", options->out, "The .npy file; beside it .paths.jsonl, a line a row")
      ->required()
      ->check(file_name());
  command->add_flag("--raw", options->raw, "As the tower gives them, not of unit length");
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_embed(*options, settings); }; });
}

}  // namespace cli

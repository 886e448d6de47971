// clipon info: what the model file says, what the CPU has, what will run.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

#if defined(CLIPON_WITH_TURBOJPEG)
constexpr const char* kJpegDecoder = "libjpeg-turbo";
#else
constexpr const char* kJpegDecoder = "stb_image";
#endif

std::vector<std::string> names(const std::vector<clipon::Isa>& isas) {
  std::vector<std::string> out;
  out.reserve(isas.size());
  for (const clipon::Isa isa : isas) out.emplace_back(to_string(isa));
  return out;
}

nlohmann::ordered_json describe(const clipon::Model& model, const Settings& settings) {
  const auto& info = model.info();
  const auto cpu = clipon::cpu_report();
  return {{"model",
           {{"path", settings.model.empty() ? "(embedded)" : settings.model},
            {"name", info.name},
            {"description", info.description},
            {"license", info.license},
            {"source", info.source},
            {"source_url", info.source_url},
            {"training_data", info.training_data},
            {"architecture", info.architecture},
            {"parameters", info.parameters},
            {"stored_type", info.stored_type},
            {"file_bytes", info.file_bytes},
            {"fingerprint", clipon::hexadecimal(info.fingerprint)},
            {"format", info.strict ? "clipon" : "clip.cpp"},
            {"assumptions", info.assumptions},
            {"embed_dim", model.embed_dim()},
            {"image_size", model.image_size()},
            {"context_length", model.context_length()},
            {"vocabulary", model.tokenizer().config().tokens.size()},
            {"logit_scale", model.logit_scale()}}},
          {"cpu",
           {{"vendor", cpu.vendor}, {"brand", cpu.brand}, {"built", names(cpu.built)}, {"usable", names(cpu.usable)}}},
          {"runs",
           {{"precision", to_string(model.precision())},
            {"isa", to_string(model.isa())},
            {"why", settings.isa == "best" ? cpu.why : "--isa asks for it"},
            {"threads", model.threads()}}},
          {"jpeg", kJpegDecoder},
          {"clipon", CLIPON_VERSION_STRING}};
}

void print_text(const nlohmann::ordered_json& json) {
  for (const auto& [section, values] : json.items()) {
    if (!values.is_object()) continue;
    std::printf("%s\n", section.c_str());
    for (const auto& [key, value] : values.items()) {
      std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      if (value.is_array()) {
        text.clear();
        for (const auto& element : value) text += (text.empty() ? "" : ", ") + element.get<std::string>();
      }
      // a model's file may say anything, also what a terminal would obey
      if (!text.empty()) std::printf("  %-15s %s\n", key.c_str(), clipon::one_line(text).c_str());
    }
  }
}

ExitCode run_info(const Settings& settings) {
  const clipon::Model model = load_model(settings);
  const auto json = describe(model, settings);
  if (settings.json) {
    std::cout << json_text(json);
  } else {
    print_text(json);
  }
  return ExitCode::success;
}

}  // namespace

void add_info(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("info", "What the model is and which instructions run");
  command->callback([&settings, &action] { action = [&settings] { return run_info(settings); }; });
}

}  // namespace cli

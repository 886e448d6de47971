// clipon, the command: CLIP at a shell.  docs/cli.md describes each command and its --json output.
#include <cstdio>
#include <exception>
#include <new>

#include "arguments.hpp"
#include "commands/commands.hpp"

namespace {

int exit_code(cli::ExitCode code) {
  return static_cast<int>(code);
}

// Names of files and folders, and what is in them, may hold anything.
int misused(const std::string& why) {
  std::fprintf(stderr, "clipon: %s\n", clipon::one_line(why).c_str());
  return exit_code(cli::ExitCode::usage);
}

// Where a text makes the whole command fail it is a label, a template or a query.
bool is_usage(clipon::ErrorCode code) {
  return code == clipon::ErrorCode::invalid_argument || code == clipon::ErrorCode::text_too_long ||
         code == clipon::ErrorCode::invalid_utf8;
}

// Where help on what was typed is to be had, "clipon probe train --help"; `why` begins with the name of an option, if
// it is one's.
std::string help_on(const CLI::App& app, const std::string& why) {
  const std::string option = why.substr(0, why.find(':'));
  std::string command = "clipon";
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    command.append(" ").append(at->get_name());
  }
  const bool is_of_all = at->get_option_no_throw(option) == nullptr && app.get_option_no_throw(option) != nullptr;
  return is_of_all ? "clipon --help" : command + " --help";
}

void end_helps_with(const std::string& text, CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    command->footer(text);
    end_helps_with(text, *command);
  }
}

int run(int argc, char** argv) {
  CLI::App app{"CLIP on the CPU: pictures against labels of your choice"};
  app.set_version_flag("--version", CLIPON_VERSION_STRING);
  app.require_subcommand(1);
  app.fallthrough();  // --json and the like may stand after the command
  cli::Settings settings;
  app.add_option("--model", settings.model, "A model file (.gguf); absent: the embedded model for emoji and clip art");
  app.add_option("--precision", settings.precision, "What is computed in")
      ->check(CLI::IsMember({"f32", "bf16", "int8", "auto"}))
      ->capture_default_str();
  app.add_option("--threads", settings.threads, "0: as many as this process may use")
      ->transform(cli::whole_number_from(0, clipon::kMaxThreads))
      ->capture_default_str();
  app.add_option("--isa", settings.isa, "Pin an instruction set, e.g. avx2")->capture_default_str();
  app.add_option("--batch", settings.batch, "Items handed to the model at a time")
      ->transform(cli::whole_number_from(1, 1 << 20))
      ->capture_default_str();
  app.add_flag("--truncate", settings.truncate, "Cut texts that are too long instead of refusing them");
  app.add_flag("--exif", settings.exif, "Turn pictures as their Exif orientation says (the reference does not)");
  app.add_flag("--json", settings.json, "Print JSON");
  cli::Action action;
  for (const auto add :
       {cli::add_classify, cli::add_embed, cli::add_tokenize, cli::add_preprocess, cli::add_similarity, cli::add_probe,
        cli::add_index, cli::add_search, cli::add_dedupe, cli::add_evaluate, cli::add_bench, cli::add_info}) {
    add(app, settings, action);
  }
  end_helps_with("What every command takes (--model, --precision, --threads, ...): clipon --help", app);
  try {
    cli::Arguments(argc, argv).parse(app);
    return exit_code(action());
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::RequiredError& error) {
    const auto unknown = app.remaining();
    const std::string why =
        unknown.empty() ? error.what() : "no such command: " + cli::Arguments::unmarked(unknown.front());
    return misused(why + " (" + help_on(app, why) + " lists what there is)");
  } catch (const CLI::ParseError& error) {
    return misused(error.what() + (" (" + help_on(app, error.what()) + " lists what there is)"));
  } catch (const cli::UsageError& error) {
    return misused(error.what());
  } catch (const clipon::Error& error) {
    std::fprintf(stderr, "clipon: %s\n", error.what());
    return exit_code(is_usage(error.code()) ? cli::ExitCode::usage : cli::ExitCode::fatal);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "clipon: out of memory\n");
    return exit_code(cli::ExitCode::fatal);
  } catch (const std::exception& error) {  // std::filesystem's, of a path that the system refuses
    std::fprintf(stderr, "clipon: %s\n", clipon::one_line(error.what()).c_str());
    return exit_code(cli::ExitCode::fatal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int code = run(argc, argv);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "clipon: standard output: can't write it\n");  // a full disk must not pass for an answer
  return exit_code(cli::ExitCode::fatal);
}

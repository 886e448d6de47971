// What every command is told, and the model that it asks for.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <string>

namespace cli {

/// A command line that makes no sense: exit code 2, as CLI11's own errors.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class ExitCode { success = 0, fatal = 1, usage = 2, some_failed = 3 };

struct Settings {
  std::string model;  // a path; empty: the embedded model
  std::string precision = "f32";
  int threads = 0;
  std::string isa = "best";
  std::size_t batch = 256;  // pictures or texts handed to the model at a time
  bool truncate = false;
  bool exif = false;
  bool json = false;
};

/// What the settings say of loading.
clipon::LoadOptions load_options(const Settings& settings);
/// Of reading pictures, of reading texts.
clipon::DecodeOptions decode_options(const Settings& settings);
clipon::TokenizeOptions tokenize_options(const Settings& settings);

clipon::Model load_model(const Settings& settings);

}  // namespace cli

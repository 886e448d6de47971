#include "settings.hpp"

namespace cli {

clipon::LoadOptions load_options(const Settings& settings) {
  clipon::LoadOptions options;
  for (const auto precision :
       {clipon::Precision::automatic, clipon::Precision::f32, clipon::Precision::bf16, clipon::Precision::int8}) {
    if (settings.precision == to_string(precision)) options.precision = precision;
  }
  options.threads = settings.threads;
  options.isa = clipon::kernels::parse_isa(settings.isa);
  return options;
}

clipon::DecodeOptions decode_options(const Settings& settings) {
  clipon::DecodeOptions options;
  options.apply_exif_orientation = settings.exif;
  return options;
}

clipon::TokenizeOptions tokenize_options(const Settings& settings) {
  clipon::TokenizeOptions options;
  options.truncate = settings.truncate;
  return options;
}

clipon::Model load_model(const Settings& settings) {
  const clipon::LoadOptions options = load_options(settings);
  return settings.model.empty() ? clipon::Model::load_demo(options) : clipon::Model::load(settings.model, options);
}

}  // namespace cli

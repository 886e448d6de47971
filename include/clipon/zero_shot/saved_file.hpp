// A classifier's or probe's file: opened, checked, known to belong to the model at hand.  Layer 6; called by
// Classifier::load and LinearProbe::load.
#pragma once

#include <string>
#include <vector>

#include "clipon/format/gguf_writer.hpp"
#include "clipon/format/read_file.hpp"
#include "clipon/format/weights.hpp"
#include "clipon/model.hpp"

namespace clipon::inline CLIPON_ABI::detail {

constexpr std::uint64_t kMaxSavedBytes = 2ull << 30;  // of a file, written and read

inline void write_model_keys(format::GgufWriter& writer, const Model& model) {
  writer.u32("clipon.model_fingerprint", model.info().fingerprint);
  writer.string("clipon.model_name", model.info().name);
}

/// check() of what is an argument elsewhere, and here a value of the file.
template <class Check>
void check_saved(const Check& check) {
  try {
    check();
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_value, error.what());
  }
}

/// body(file, weights) for the strict GGUF file at `path`, of this architecture, made with this model.  Throws Error of
/// every code that a model file can give, bad_value for another kind of file or another model's; each names the path.
template <class Body>
auto read_saved_file(const Model& model, const std::string& path, const char* architecture, const Body& body) {
  const std::vector<std::byte> bytes = format::read_file(path, kMaxSavedBytes, architecture);
  return naming(path, [&] {
    const format::Gguf file(bytes, LoadOptions{});
    const auto found = std::string(file.get<std::string_view>("general.architecture"));
    if (!file.strict() || found != architecture) {
      throw Error(ErrorCode::bad_value, "expected a file of kind " + std::string(architecture) + ", found " + found);
    }
    const auto fingerprint = file.get<std::uint64_t>("clipon.model_fingerprint");
    if (fingerprint != model.info().fingerprint) {
      throw Error(ErrorCode::bad_value, "made with model '" +
                                            std::string(file.get<std::string_view>("clipon.model_name")) +
                                            "', fingerprint " + hexadecimal(fingerprint) + ", expected '" +
                                            model.info().name + "', " + hexadecimal(model.info().fingerprint));
    }
    format::Weights weights(file, LoadOptions{});
    return body(file, weights);
  });
}

}  // namespace clipon::inline CLIPON_ABI::detail

// What the cases of model files share: tests/trust/model_*.cpp.
#pragma once

#include <stdexcept>

#include "matrix.hpp"
#include "tiny_model.hpp"

namespace trust {

using clipon::LoadOptions;
using clipon::Model;
using support::ModelFile;
using support::raw;
using support::tiny_model;
using support::TinyShape;

// A model that loads must also compute: an embedding, or a typed error.
inline void load_and_use(const Bytes& file, LoadOptions options = with_threads(1)) {
  const Model model = Model::load_from_memory(file, options);
  const std::uint8_t pixels[12] = {0, 255, 3, 9, 100, 7, 50, 60, 70, 1, 2, 3};
  const clipon::Vector image = model.embed_image(clipon::Image::from_rgb(pixels, 2, 2));
  const clipon::Vector text = model.embed_text("a cat");
  for (const clipon::Vector& v : {image, text}) {
    for (Eigen::Index i = 0; i < v.size(); ++i) {
      if (!clipon::is_finite(double{v[i]})) throw std::logic_error("an embedding with NaN or infinity");
    }
  }
}

// A rejected file costs no more than a few times itself; what loads costs packed weights and the tokenizer.
inline Limits limits_for(const Bytes& file) {
  return {1.0, 4 * file.size() + (std::size_t{4} << 20)};
}

inline const std::initializer_list<ErrorCode> kMalformed = {
    ErrorCode::truncated,   ErrorCode::bad_magic,  ErrorCode::bad_offset, ErrorCode::limit_exceeded,
    ErrorCode::bad_value,   ErrorCode::bad_type,   ErrorCode::bad_shape,  ErrorCode::duplicate,
    ErrorCode::missing_key, ErrorCode::bad_version};

void check_model_fields(std::vector<Section>& table, const Probe& probe);
void check_model_contents(const Settings& settings, std::vector<Section>& table);

}  // namespace trust

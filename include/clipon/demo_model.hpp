// Model::load_demo: the embedded model, a library of its own, which only its callers link.  Layer 5; part of model.hpp,
// include that.
#pragma once

#include "clipon/model.hpp"

extern "C" {
extern const unsigned char clipon_demo_model_begin[];
extern const unsigned char clipon_demo_model_end[];
}

namespace clipon::inline CLIPON_ABI {

inline Model Model::load_demo(const LoadOptions& options) {
  const auto* begin = reinterpret_cast<const std::byte*>(clipon_demo_model_begin);
  const auto* end = reinterpret_cast<const std::byte*>(clipon_demo_model_end);
  return load_from_memory({begin, static_cast<std::size_t>(end - begin)}, options);
}

}  // namespace clipon::inline CLIPON_ABI

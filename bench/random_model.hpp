// A model file of a real architecture with made-up weights, in memory: speed needs no trained ones.
// Called by `clipon bench --arch`; the layout is docs/model_format.md's, loaded as any file is.
#pragma once

#include <clipon/text/tokenizer.hpp>
#include <cstddef>
#include <vector>

#include "architectures.hpp"

namespace bench {

/// For Model::load_from_memory with verify_checksums = false.  Matrices are bf16, drawn as in training's first step:
/// normal in scale, so that activations are as large as a real model's.  `vocabulary` gives the tokens that texts are
/// cut into; what is missing of the architecture's 49,408 is filled up.
std::vector<std::byte> random_model(const Architecture& architecture, const clipon::text::TokenizerConfig& vocabulary);

}  // namespace bench

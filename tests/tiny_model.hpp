// Whole CLIP models of a few thousand weights, made in memory: every shape and type that the loader knows.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "model_file.hpp"

namespace support {

struct TinyShape {
  std::uint64_t width = 16, layers = 1, heads = 2, feed_forward = 32;  // of both towers
  std::uint64_t image_size = 8, patch_size = 4, embed_dim = 8, context = 16;
  bool resnet = false;              // then image_size is a multiple of 32
  std::uint64_t stem = 2;           // width of the ResNet's stem
  std::uint32_t type = kTensorF32;  // of the matrices
  bool strict = true;               // else as clip.cpp writes
};

/// The byte alphabet, with and without the word's end, some merges, start and end.
std::vector<std::string> tiny_tokens();
const std::vector<std::string>& tiny_merges();

ModelFile tiny_model(const TinyShape& shape = {});

}  // namespace support

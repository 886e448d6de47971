// OpenAI's nine architectures, by the names of their files.  Radford et al. 2021, tables 19 and 20.
// Called by random_model.hpp (weights of such a model in memory) and micro/ (the shapes of its products).
#pragma once

#include <array>
#include <clipon/core/types.hpp>
#include <string_view>

namespace bench {

using clipon::index_t;

struct Architecture {
  std::string_view name;
  index_t embed_dim;
  index_t image_size;
  std::array<index_t, 4> layers;  // bottlenecks a stage of a ModifiedResNet; a ViT: {blocks}
  index_t width;                  // of the ViT, or of the ResNet's stem
  index_t patch_size;             // 0: a ModifiedResNet
  index_t text_width;

  [[nodiscard]] bool is_vit() const { return patch_size != 0; }
  [[nodiscard]] index_t grid() const { return image_size / (is_vit() ? patch_size : 32); }
  [[nodiscard]] index_t tokens() const { return grid() * grid() + 1; }  // of the blocks, or of the attention pool
};

constexpr index_t kHeadWidth = 64;  // of every Transformer and attention pool
constexpr index_t kTextLayers = 12;
constexpr index_t kContextLength = 77;
constexpr index_t kVocabulary = 49408;

constexpr std::array kArchitectures = {
    Architecture{"RN50", 1024, 224, {3, 4, 6, 3}, 64, 0, 512},
    Architecture{"RN101", 512, 224, {3, 4, 23, 3}, 64, 0, 512},
    Architecture{"RN50x4", 640, 288, {4, 6, 10, 6}, 80, 0, 640},
    Architecture{"RN50x16", 768, 384, {6, 8, 18, 8}, 96, 0, 768},
    Architecture{"RN50x64", 1024, 448, {3, 15, 36, 10}, 128, 0, 1024},
    Architecture{"ViT-B/32", 512, 224, {12}, 768, 32, 512},
    Architecture{"ViT-B/16", 512, 224, {12}, 768, 16, 512},
    Architecture{"ViT-L/14", 768, 224, {24}, 1024, 14, 768},
    Architecture{"ViT-L/14@336px", 768, 336, {24}, 1024, 14, 768},
};

/// The architecture of that name, else null.
constexpr const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

}  // namespace bench

// The image tower as a modified ResNet: a three-convolution stem, strides made of average pooling, attention pooling.
// Layer 4.  Radford et al. 2021, 2.4; openai/CLIP clip/model.py, ModifiedResNet.forward.
// Maps are [pictures, height, width, channels]; every BatchNorm is folded into the convolution before it by the
// converter.
//
// Precisions: f32 in everything; bf16 maps and products (the first convolution, on three channels, stays f32); for int8
// the 1 x 1 convolutions take bytes with a scale a pixel, and those of 3 x 3 bytes with a scale a transformed tile and
// position (on AMX's tiles a picture), but for narrow ones and, in towers so deep that the error would add up, those on
// large maps (nn/winograd.hpp, nn/conv3x3.hpp).
#pragma once

#include <algorithm>
#include <vector>

#include "clipon/models/build.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/image_input.hpp"
#include "clipon/models/passes.hpp"
#include "clipon/models/precision.hpp"
#include "clipon/nn/attention_pool.hpp"
#include "clipon/nn/bottleneck.hpp"

namespace clipon::inline CLIPON_ABI::models {

class ModifiedResNet {
 public:
  using Config = ModifiedResNetConfig;

  struct Weights {
    nn::Conv2d stem_1;  // 3 x 3, stride 2, from RGB
    nn::Conv3x3 stem_2;
    nn::Conv3x3 stem_3;
    std::vector<nn::Bottleneck> blocks_per_picture;  // run picture by picture: their maps are large
    std::vector<nn::Bottleneck> blocks_per_pass;  // run for all pictures of a pass: their weights are large, maps small
    nn::AttentionPool pool;
  };

  ModifiedResNet(const Config& config, Builder& build) : config_(config) {
    // a step of bf16 may not straddle two pixels, of which the stem has the narrowest
    const index_t narrowest = config.width / 2;
    const bool whole = kernels::padded_depth(DataType::bf16, narrowest) == narrowest;
    const DataType type = whole ? build.type : DataType::f32;
    const DataType map_type = nn::between(type);
    const bool deep = config.bottlenecks() > kMostBottlenecksInt8;
    const auto convolution = [&](const std::string& name, index_t out, index_t in, index_t side) {
      return build.conv3x3(name, out, in, side, type, deep);
    };
    const index_t width = config.width;
    index_t side = config.image_size / 2;
    weights_.stem_1 = build.conv2d("v.stem.0", width / 2, 3, 3, DataType::f32);
    weights_.stem_2 = convolution("v.stem.1", width / 2, width / 2, side);
    weights_.stem_3 = convolution("v.stem.2", width, width / 2, side);
    side /= 2;
    index_t in = width;
    for (std::size_t stage = 0; stage < 4; ++stage) {
      const index_t planes = width << stage;
      for (index_t n = 0; n < config.blocks[stage]; ++n, in = 4 * planes) {
        const std::string prefix = "v.stage." + std::to_string(stage) + "." + std::to_string(n) + ".";
        const bool together = stage == 3 || (stage > 0 && side <= kLargestSideTogether);
        nn::Bottleneck& block = (together ? weights_.blocks_per_pass : weights_.blocks_per_picture).emplace_back();
        block.conv1 = build.conv2d(prefix + "conv1", planes, in, 1, type);
        block.conv2 = convolution(prefix + "conv2", planes, planes, side);
        block.conv3 = build.conv2d(prefix + "conv3", 4 * planes, planes, 1, type);
        if (n == 0) block.downsample = build.conv2d(prefix + "downsample", 4 * planes, in, 1, type);
        block.pool = n == 0 && stage > 0;
        if (block.pool) side /= 2;
      }
    }
    weights_.pool = build.attention_pool("v.attnpool", config.grid() * config.grid() + 1, config.features(),
                                         config.heads, config.embed_dim, map_type);
  }

  [[nodiscard]] index_t image_size() const { return config_.image_size; }
  [[nodiscard]] index_t embed_dim() const { return config_.embed_dim; }
  [[nodiscard]] static index_t rows_a_picture() { return 1; }
  /// A picture takes a hundred operations a weight, so that threads in one pass do as well as alone.
  [[nodiscard]] static PassRows pass_rows(const nn::Context&) { return {8, 4}; }

  [[nodiscard]] index_t scratch_bytes(const nn::Context& context, index_t pictures) const {
    const Sizes sizes = measure(context, pictures);
    return bytes(sizes.first) + bytes(sizes.last) + Scratch::size_for<float>(sizes.picture) +
           Scratch::size_for<unsigned char>(sizes.conv_bytes) +
           nn::AttentionPoolScratch::bytes(context, weights_.pool, pictures);
  }

  /// Pictures of a pass -> out [pictures, embed_dim], not normalised.
  void forward(const nn::Context& context, const ImageInput& input, index_t pictures, float* out,
               Scratch& scratch) const {
    const Sizes sizes = measure(context, pictures);
    const Maps first = take(scratch, sizes.first);
    const Maps last = take(scratch, sizes.last);
    auto* picture = scratch.take<float>(sizes.picture);  // [S, S, 3]
    auto* conv = scratch.take<unsigned char>(sizes.conv_bytes);

    nn::MapSize size;
    for (index_t p = 0; p < pictures; ++p) {
      size = stem(context, input, p, picture, first, conv);
      const void* x = first.x;
      for (const nn::Bottleneck& block : weights_.blocks_per_picture) {
        const bool is_last = &block == &weights_.blocks_per_picture.back();
        const nn::MapSize out_size = block.output_size(size);
        void* to = is_last ? at(last.x, p * out_size.pixels() * block.out_channels()) : other(first, x, block);
        nn::forward(context, block, x, size, to, {first.a, first.b, conv});
        x = to;
        size = out_size;
      }
    }
    size.pictures = pictures;
    const void* x = last.x;
    for (const nn::Bottleneck& block : weights_.blocks_per_pass) {
      void* to = other(last, x, block);
      nn::forward(context, block, x, size, to, {last.a, last.b, conv});
      x = to;
      size = block.output_size(size);
    }
    nn::forward(context, weights_.pool, {x, config_.features(), map_type()}, pictures, out, scratch);
  }

 private:
  // Maps of so many pixels a side, or less, go through their blocks together: 196 rows in the third stage of RN50 keep
  // its weights too briefly at work, 1,568 made it 5 % faster in int8 (28 a side: slower again, on Zen 4).
  static constexpr index_t kLargestSideTogether = 14;

  // Elements of each map of a chain of blocks.
  struct MapSizes {
    index_t x = 0;  // an input or output of a block; there are two of these
    index_t a = 0;
    index_t b = 0;
  };
  struct Maps {
    void* x = nullptr;
    void* y = nullptr;
    void* a = nullptr;
    void* b = nullptr;
  };
  struct Sizes {
    MapSizes first;
    MapSizes last;
    index_t picture = 0;
    index_t conv_bytes = 0;
  };

  [[nodiscard]] DataType map_type() const { return weights_.stem_2.map_type(); }
  [[nodiscard]] void* at(void* map, index_t element) const {
    return static_cast<unsigned char*>(map) + element * static_cast<index_t>(size_of(map_type()));
  }
  [[nodiscard]] index_t map_bytes(index_t elements) const {
    return Scratch::size_for<unsigned char>(elements * static_cast<index_t>(size_of(map_type())));
  }
  [[nodiscard]] index_t bytes(const MapSizes& sizes) const {
    return 2 * map_bytes(sizes.x) + map_bytes(sizes.a) + map_bytes(sizes.b);
  }
  [[nodiscard]] Maps take(Scratch& scratch, const MapSizes& sizes) const {
    const auto map = [&](index_t elements) { return scratch.take<unsigned char>(map_bytes(elements)); };
    return {map(sizes.x), map(sizes.x), map(sizes.a), map(sizes.b)};
  }

  // Where a block's output goes: onto its input, or beside it where the shortcut is a product of the input.
  static void* other(const Maps& maps, const void* x, const nn::Bottleneck& block) {
    if (x == maps.x) return block.downsample ? maps.y : maps.x;
    return block.downsample ? maps.x : maps.y;
  }

  [[nodiscard]] Sizes measure(const nn::Context& context, index_t pictures) const {
    const index_t half = config_.image_size / 2;
    Sizes sizes;
    sizes.picture = config_.image_size * config_.image_size * 3;
    sizes.conv_bytes = std::max({nn::conv_scratch_bytes(context, weights_.stem_1),
                                 nn::conv3x3_scratch_bytes(context, weights_.stem_2, {1, half, half}, false),
                                 nn::conv3x3_scratch_bytes(context, weights_.stem_3, {1, half, half}, true)});
    nn::MapSize size{1, half / 2, half / 2};
    sizes.first = {size.pixels() * config_.width, half * half * config_.width / 2, half * half * config_.width / 2};
    const auto include = [&](const std::vector<nn::Bottleneck>& blocks, MapSizes& maps) {
      for (const nn::Bottleneck& block : blocks) {
        const nn::BottleneckSizes of_block = nn::bottleneck_sizes(context, block, size);
        maps.x = std::max({maps.x, of_block.in, of_block.out});
        maps.a = std::max(maps.a, of_block.a);
        maps.b = std::max(maps.b, of_block.b);
        sizes.conv_bytes = std::max(sizes.conv_bytes, of_block.conv_bytes);
        size = block.output_size(size);
      }
    };
    include(weights_.blocks_per_picture, sizes.first);
    size.pictures = pictures;
    include(weights_.blocks_per_pass, sizes.last);
    return sizes;
  }

  // Picture p -> maps.x [S / 4, S / 4, width]: normalised, three convolutions, 2 x 2 average pooling.
  nn::MapSize stem(const nn::Context& context, const ImageInput& input, index_t p, float* picture, const Maps& maps,
                   unsigned char* conv) const {
    const index_t side = config_.image_size;
    parallel::parallel_for(context.threads, side,
                           [&](index_t y) { input.row(context, p, y, 0, side, picture + y * side * 3); });
    nn::Output to_a{maps.a, config_.width / 2, nn::Activation::relu};
    to_a.type = map_type();
    const nn::MapSize size = nn::forward_strided(context, weights_.stem_1, picture, {1, side, side}, to_a, conv);
    nn::forward(context, weights_.stem_2, maps.a, size, false, maps.b, conv);
    nn::forward(context, weights_.stem_3, maps.b, size, true, maps.x, conv);
    return size.half();
  }

  Config config_;
  Weights weights_;
};

}  // namespace clipon::inline CLIPON_ABI::models

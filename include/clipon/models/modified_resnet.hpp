// The image tower as a modified ResNet: a three-convolution stem, strides made of average pooling, attention pooling.
// Layer 4.  Radford et al. 2021, 2.4; openai/CLIP clip/model.py, ModifiedResNet.forward and Bottleneck.forward.
// Maps are [height, width, channels]; every BatchNorm is folded into the convolution before it by the converter.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "clipon/models/build.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/image_input.hpp"
#include "clipon/nn/attention_pool.hpp"
#include "clipon/nn/conv2d.hpp"

namespace clipon::inline CLIPON_ABI::models {

class ModifiedResNet {
 public:
  using Config = ModifiedResNetConfig;

  struct Bottleneck {
    nn::Conv2d conv1;                      // 1 x 1, in -> planes
    nn::Conv2d conv2;                      // 3 x 3, planes -> planes
    nn::Conv2d conv3;                      // 1 x 1, planes -> 4 planes
    std::optional<nn::Conv2d> downsample;  // 1 x 1, in -> 4 planes, after pooling; the first block of each stage
    bool pool = false;                     // 2 x 2 average pooling before conv3 and downsample: the antialiased stride
  };

  struct Weights {
    std::array<nn::Conv2d, 3> stem;
    std::vector<Bottleneck> bottlenecks;
    nn::AttentionPool pool;
  };

  ModifiedResNet(const Config& config, Builder& build) : config_(config) {
    const index_t width = config.width;
    const std::array<index_t, 4> channels = {3, width / 2, width / 2, width};
    for (std::size_t k = 0; k < 3; ++k) {
      weights_.stem[k] = conv(build, "v.stem." + std::to_string(k), channels[k + 1], channels[k], 3, k == 0 ? 2 : 1);
    }
    index_t in = width;
    for (std::size_t stage = 0; stage < 4; ++stage) {
      const index_t planes = width << stage;
      for (index_t n = 0; n < config.blocks[stage]; ++n, in = 4 * planes) {
        const std::string prefix = "v.stage." + std::to_string(stage) + "." + std::to_string(n) + ".";
        Bottleneck& block = weights_.bottlenecks.emplace_back();
        block.conv1 = conv(build, prefix + "conv1", planes, in, 1, 1);
        block.conv2 = conv(build, prefix + "conv2", planes, planes, 3, 1);
        block.conv3 = conv(build, prefix + "conv3", 4 * planes, planes, 1, 1);
        if (n == 0) block.downsample = conv(build, prefix + "downsample", 4 * planes, in, 1, 1);
        block.pool = n == 0 && stage > 0;
      }
    }
    read_attention_pool(build);
  }

  [[nodiscard]] index_t image_size() const { return config_.image_size; }
  [[nodiscard]] index_t embed_dim() const { return config_.embed_dim; }
  [[nodiscard]] static index_t pictures_a_pass() { return 1; }  // one picture's maps already exceed L2

  [[nodiscard]] index_t scratch_bytes(const nn::Context& context, index_t /*pictures*/) const {
    return 4 * Scratch::size_for<float>(map_floats()) + Scratch::size_for<float>(gather_floats(context)) +
           nn::attention_pool_bytes(context, weights_.pool);
  }

  /// One picture -> out [1, embed_dim], not normalised.
  void forward(const nn::Context& context, const ImageInput& input, index_t /*pictures*/, float* out,
               Scratch& scratch) const {
    auto* x = scratch.take<float>(map_floats());         // the block's input, then its output
    auto* identity = scratch.take<float>(map_floats());  // the shortcut
    auto* a = scratch.take<float>(map_floats());
    auto* b = scratch.take<float>(map_floats());
    auto* gathered = scratch.take<float>(gather_floats(context));
    nn::MapSize size{config_.image_size, config_.image_size};

    parallel::parallel_for(context.threads, size.height,
                           [&](index_t y) { input.row(context, 0, y, 0, size.width, a + y * size.width * 3); });
    size = apply(context, weights_.stem[0], a, size, b, gathered);
    size = apply(context, weights_.stem[1], b, size, a, gathered);
    size = apply(context, weights_.stem[2], a, size, b, gathered);
    size = pool(context, b, size, config_.width, x);
    for (const Bottleneck& block : weights_.bottlenecks) {
      size = bottleneck(context, block, size, x, identity, a, b, gathered);
    }
    nn::forward(context, weights_.pool, x, out, scratch);
  }

 private:
  static nn::Conv2d conv(Builder& build, const std::string& name, index_t out, index_t in, index_t kernel,
                         index_t stride) {
    return {build.channels_last(name, out, in, kernel, true), in, kernel, stride};
  }

  void read_attention_pool(Builder& build) {
    const index_t channels = config_.features();
    const index_t tokens = config_.grid() * config_.grid() + 1;
    nn::AttentionPool& pool = weights_.pool;
    pool.positional_embedding = build.weights.get_vector("v.attnpool.position_embd.weight", {tokens, channels});
    pool.attention.query = build.linear("v.attnpool.q", channels, channels, DataType::f32);
    pool.attention.key_value = build.stacked("v.attnpool.k", "v.attnpool.v", channels, channels);
    pool.attention.out = build.linear("visual_projection", config_.embed_dim, channels, DataType::f32);
    pool.attention.heads = config_.heads;
  }

  // The largest map: the stem's [S / 2, S / 2, width], the picture itself, or stage 0's [S / 4, S / 4, 4 width].
  [[nodiscard]] index_t map_floats() const {
    const index_t size = config_.image_size;
    return std::max(size * size * 3, size * size / 4 * config_.width);
  }

  [[nodiscard]] index_t gather_floats(const nn::Context& context) const {
    index_t most = 0;
    for (const nn::Conv2d& conv : weights_.stem) most = std::max(most, nn::conv_scratch_floats(context, conv));
    for (const Bottleneck& block : weights_.bottlenecks) {
      most = std::max(most, nn::conv_scratch_floats(context, block.conv2));
    }
    return most;
  }

  // out = relu(conv(in) [+ residual])
  static nn::MapSize apply(const nn::Context& context, const nn::Conv2d& conv, const float* in, nn::MapSize size,
                           float* out, float* gathered, const float* residual = nullptr) {
    const index_t channels = conv.out_channels();
    nn::forward(context, conv, in, size, {out, channels, nn::Activation::relu, residual, channels}, gathered);
    return nn::output_size(conv, size);
  }

  static nn::MapSize pool(const nn::Context& context, const float* in, nn::MapSize size, index_t channels, float* out) {
    const nn::MapSize half{size.height / 2, size.width / 2};
    parallel::parallel_for(context.threads, half.height, [&](index_t y) {
      context.kernels->average_pool_2x2(in + 2 * y * size.width * channels, 2, size.width, channels,
                                        out + y * half.width * channels);
    });
    return half;
  }

  // x = relu(conv3(pool(relu(conv2(relu(conv1(x)))))) + shortcut(x))
  static nn::MapSize bottleneck(const nn::Context& context, const Bottleneck& block, nn::MapSize size, float*& x,
                                float*& identity, float* a, float* b, float* gathered) {
    apply(context, block.conv1, x, size, a, gathered);
    apply(context, block.conv2, a, size, b, gathered);
    const nn::MapSize out = block.pool ? pool(context, b, size, block.conv2.out_channels(), a) : size;
    const float* inner = block.pool ? a : b;
    if (!block.downsample) {
      apply(context, block.conv3, inner, out, x, gathered, x);  // each element is read before it is written
      return out;
    }
    const float* shortcut = x;
    if (block.pool) {
      pool(context, x, size, block.conv1.in_channels, b);
      shortcut = b;
    }
    const index_t channels = block.downsample->out_channels();
    nn::forward(context, *block.downsample, shortcut, out, {identity, channels, nn::Activation::none, nullptr, 0},
                gathered);
    apply(context, block.conv3, inner, out, identity, gathered, identity);
    std::swap(x, identity);
    return out;
  }

  Config config_;
  Weights weights_;
};

}  // namespace clipon::inline CLIPON_ABI::models

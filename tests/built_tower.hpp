// An image tower of a file, on the kernels and threads of one's choice.
#pragma once

#include <clipon/models/build.hpp>
#include <clipon/models/image_input.hpp>

#include "support.hpp"

namespace support {

template <class Tower>
struct BuiltTower {
  clipon::nn::Context context;
  Tower tower;

  BuiltTower(const typename Tower::Config& config, const clipon::format::Gguf& file,
             const clipon::kernels::KernelTable& table, clipon::DataType type, int threads,
             clipon::kernels::Rows rows = clipon::kernels::Rows::in_pairs)
      : context{&table, {threads}}, tower(make(config, file, context, type, rows)) {}

  static Tower make(const typename Tower::Config& config, const clipon::format::Gguf& file,
                    const clipon::nn::Context& context, clipon::DataType type, clipon::kernels::Rows rows) {
    clipon::format::Weights weights(file, {});
    clipon::models::Builder build{weights, context, type, rows};
    Tower built(config, build);
    build.packing.run(build.context.threads, weights);
    return built;
  }

  // Pictures first .. first + n in one pass.
  [[nodiscard]] std::vector<float> embed(const std::vector<float>& pixels, clipon::index_t first,
                                         clipon::index_t n) const {
    const clipon::index_t size = tower.image_size();
    clipon::models::ImageInput input;
    input.floats = pixels.data() + first * 3 * size * size;
    input.size = size;
    std::vector<float> out(static_cast<std::size_t>(n * tower.embed_dim()));
    clipon::Scratch scratch;
    scratch.reset(tower.scratch_bytes(context, n));
    tower.forward(context, input, n, out.data(), scratch);
    return out;
  }

  // CHECKs that each picture of a batch alone gives the bits of its row of `all`.
  void check_alone(const std::vector<float>& pixels, const std::vector<float>& all) const {
    const clipon::index_t n = tower.embed_dim();
    for (clipon::index_t p = 0; p * n < static_cast<clipon::index_t>(all.size()); ++p) {
      CHECK(embed(pixels, p, 1) == std::vector<float>(all.begin() + p * n, all.begin() + (p + 1) * n));
    }
  }
};

}  // namespace support

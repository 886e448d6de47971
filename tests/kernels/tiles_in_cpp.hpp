// The kernels of a CPU with AMX, on tiles in plain C++: the same code as on the processors that have them, anywhere.
// And those of a CPU that multiplies bytes but not bf16, as with VNNI alone.
#pragma once

#include <clipon/kernels/micro/attention.hpp>
#include <clipon/kernels/micro/pack.hpp>

#include "support.hpp"

namespace support {

struct TilesInCpp : clipon::simd::scalar {
  static constexpr bool has_amx = true;
};

inline void gemm_on_tiles(const clipon::kernels::GemmBlock& block) {
  using clipon::DataType;
  using namespace clipon::kernels;
  using Tiles = clipon::simd::Tiles<false>;
  if (block.a.type == DataType::f32) return built_table(clipon::Isa::scalar)->gemm(block);
  if (block.a.type == DataType::bf16) return gemm_block_tiles<TilesInCpp, Tiles, DataType::bf16>(block);
  return gemm_block_tiles<TilesInCpp, Tiles, DataType::i8>(block);
}

inline void attention_head_on_tiles(const clipon::kernels::AttentionHead& head) {
  using namespace clipon::kernels;
  if (head.q.type == clipon::DataType::f32) return built_table(clipon::Isa::scalar)->attention_head(head);
  attention_on_tiles<TilesInCpp, clipon::simd::Tiles<false>>(head);
}

inline const clipon::kernels::KernelTable& tiles_table() {
  static const clipon::kernels::KernelTable table = [] {
    using namespace clipon::kernels;
    KernelTable scalar = *built_table(clipon::Isa::scalar);
    scalar.windows = true;
    scalar.bf16_runs_as = clipon::DataType::bf16;
    scalar.int8_runs_as = clipon::DataType::i8;
    scalar.panel_columns = panel_columns<TilesInCpp>;
    scalar.pack_panel = pack_panel<TilesInCpp>;
    scalar.gemm = gemm_on_tiles;
    scalar.attention_scratch = attention_scratch<TilesInCpp>;
    scalar.attention_head = attention_head_on_tiles;
    return scalar;
  }();
  return table;
}

inline const clipon::kernels::KernelTable& bytes_table() {
  static const clipon::kernels::KernelTable table = [] {
    const clipon::kernels::KernelTable& scalar = *clipon::kernels::built_table(clipon::Isa::scalar);
    clipon::kernels::KernelTable bytes = tiles_table();
    bytes.windows = false;
    bytes.bf16_runs_as = clipon::DataType::f32;
    bytes.attention_scratch = scalar.attention_scratch;
    bytes.attention_head = scalar.attention_head;  // nothing for bf16
    return bytes;
  }();
  return table;
}

/// Each table that this machine can run, and these two.
template <class Body>
void for_each_isa_and_tiles(const Body& body) {
  for_each_isa(body);
  const auto on = [&](const std::string& name, const clipon::kernels::KernelTable& table) {
    CAPTURE(name);
    body(table);
  };
  on("tiles in C++", tiles_table());
  on("bytes in C++", bytes_table());
}

}  // namespace support

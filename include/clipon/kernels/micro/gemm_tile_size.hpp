// How many sums of a product each ISA keeps in registers.  Called by gemm.hpp and whoever packs for it.  Per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// Register budget: MR * NV sums + NV loads (+ 1 broadcast where memory operands can't broadcast).
//   512 bits: 24 + 3 + 1 of 32 registers
//   256 bits: 12 + 2 + 1 of 16
//   SSE2: 8 + 2 + 1 of 16
//   AArch64: 18 + 3 + 6 of 32, since g++ 12 loads the broadcasts of all rows before it multiplies; 18 + 6 + 6 where two
//   rows and two columns are multiplied at a time
//   portable: 16 sums keep a scalar FPU busy
// i16, whose W and A take two registers each, has fewer rows: 2 NV loads, 2 broadcasts, of all rows on AArch64.
template <class Arch>
struct GemmTile {
  static constexpr int bits = Arch::vector_bits;
  static constexpr int rows = bits == 512 ? 8 : bits == 256 || Arch::is_aarch64 ? 6 : 4;  // the most
  static constexpr int vectors = bits == 512 || Arch::is_aarch64 ? 3 : bits >= 128 ? 2 : 4;

  static constexpr int rows_of(DataType type) {
    return type != DataType::i16 ? rows : bits == 512 ? 6 : Arch::is_aarch64 ? 3 : 4;
  }
};

/// Words of 32 bits of a column that stand together in a panel: what a product takes of it at a time.
template <class Arch>
constexpr index_t panel_words(DataType type) {
  return Arch::has_mmla && (type == DataType::bf16 || type == DataType::i8) ? 2 : 1;
}

template <class Arch>
constexpr index_t gemm_rows(DataType type) {
  return GemmTile<Arch>::rows_of(type);
}
template <class Arch>
constexpr index_t gemm_columns = GemmTile<Arch>::vectors* simd::F32<Arch>::width;

constexpr index_t kTilePanel = 32;  // columns of a panel for tiles (AMX), two tiles wide

/// NR: columns of a packed panel of W.
template <class Arch>
constexpr index_t panel_columns(DataType type) {
  return Arch::has_amx && type != DataType::f32 ? kTilePanel : gemm_columns<Arch>;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

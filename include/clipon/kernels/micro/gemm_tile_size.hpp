// How many sums of a product each ISA keeps in registers.  Called by gemm.hpp and whoever packs for it.  Per ISA.
#pragma once

#include "clipon/simd/vector.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

// Register budget: MR * NV sums + NV loads (+ 1 broadcast where memory operands can't broadcast).
template <class Arch, int bits = Arch::vector_bits>
struct GemmTile {  // portable: 16 sums keep a scalar FPU busy
  static constexpr int rows = 4;
  static constexpr int vectors = 4;
};
template <class Arch>
struct GemmTile<Arch, 128> {  // 8 + 2 + 1 of 16 registers
  static constexpr int rows = 4;
  static constexpr int vectors = 2;
};
template <class Arch>
struct GemmTile<Arch, 256> {  // 12 + 2 + 1 of 16 registers
  static constexpr int rows = 6;
  static constexpr int vectors = 2;
};
template <class Arch>
struct GemmTile<Arch, 512> {  // 24 + 3 + 1 of 32 registers
  static constexpr int rows = 8;
  static constexpr int vectors = 3;
};

template <class Arch>
constexpr index_t gemm_rows = GemmTile<Arch>::rows;
template <class Arch>
constexpr index_t gemm_columns = GemmTile<Arch>::vectors* simd::F32<Arch>::width;

}  // namespace clipon::inline CLIPON_ABI::kernels

// Packing of weights into the panel order that the GEMM's tile reads.  Runs once, at load.  Per ISA.
#pragma once

#include "clipon/kernels/micro/convert.hpp"
#include "clipon/kernels/micro/gemm_f32.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Rows first .. first + NR of W [rows, columns] become one panel [columns][NR] of floats; missing rows become zeros.
template <class Arch>
inline void pack_panel_f32(const StoredMatrix& w, index_t first, float* panel) {
  constexpr index_t nr = gemm_f32_columns<Arch>;
  constexpr index_t block = 64;  // NR rows of 64 floats: 12 KiB, stays in L1 while it is transposed
  float wide[nr * block];        // [NR, block]
  for (index_t k = 0; k < w.columns; k += block) {
    const index_t depth = w.columns - k < block ? w.columns - k : block;
    for (index_t j = 0; j < nr; ++j) {
      if (first + j < w.rows) {
        widen<Arch>(w, first + j, k, depth, wide + j * block);
      } else {
        for (index_t i = 0; i < depth; ++i) wide[j * block + i] = 0.0f;
      }
    }
    for (index_t i = 0; i < depth; ++i) {
      for (index_t j = 0; j < nr; ++j) panel[(k + i) * nr + j] = wide[j * block + i];
    }
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

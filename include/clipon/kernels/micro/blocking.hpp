// How much is worked on at a time, by what fits the caches of the CPUs that have an instruction set.  Called by
// instantiate.hpp.  Per ISA.
#pragma once

#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Bytes of A that stay in L2 while all panels of W pass by once: two thirds of 1 MiB, as Zen 4 and 5 have it, or of
/// the 2 MiB of every CPU with AMX.
template <class Arch>
constexpr index_t block_bytes = (Arch::has_amx ? 1408 : 704) * 1024;

/// Rows of activations that go through a Transformer's blocks together.  150 rows and what a layer makes of them stay
/// in L2 while its weights stream by.  On tiles a product is faster than its weights come from memory unless more rows
/// use them: of 150, 250, 400 and 800, the most was the fastest on an Emerald Rapids (ViT-B/32, bf16 and int8, by 30 to
/// 60 % over 150).
template <class Arch>
constexpr index_t rows_a_pass(DataType type) {
  return Arch::has_amx && type != DataType::f32 ? 800 : 150;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

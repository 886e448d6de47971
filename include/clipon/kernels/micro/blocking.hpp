// How much is worked on at a time, by what fits the caches of the CPUs that have an instruction set.  Called by
// instantiate.hpp.  Per ISA.
#pragma once

#include "clipon/kernels/types.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

/// Bytes of A that pass while a panel of W stays in the cache.  Without tiles: all rows of a pass, so that W is read
/// once, even where they leave L2: a tile takes 32 bytes of A but 192 of W in 24 cycles.  2400 KiB are 150 rows of
/// ViT-L's 4096 floats (704 KiB, which stay in L2, were slower in f32 by 3 % for ViT-B/32 and 5 % for L/14, Zen 4).  On
/// tiles two thirds of the 2 MiB of L2 that every CPU with AMX has.
template <class Arch>
constexpr index_t block_bytes = (Arch::has_amx ? 1408 : 2400) * 1024;

/// Bytes of transformed tiles and their sums between Winograd's transforms, which should stay in L2: of 2 MiB with AMX,
/// 1 MiB where AVX-512 is (2,400 KiB were slower in most runs, 700 to 1,200 about the same, Zen 4), 512 KiB or less
/// below.
template <class Arch>
constexpr index_t winograd_bytes = (Arch::has_amx              ? 1408
                                    : Arch::vector_bits == 512 ? 950
                                                               : 450) *
                                   1024;

/// Rows of activations that go through a Transformer's blocks together.  150 rows and what a layer makes of them stay
/// near while its weights stream by.  On tiles a product is faster than its weights come from memory unless more rows
/// use them: of 150, 250, 400 and 800, the most was the fastest on an Emerald Rapids (ViT-B/32, bf16 and int8, by 30 to
/// 60 % over 150).
template <class Arch>
constexpr index_t rows_a_pass(DataType type) {
  return Arch::has_amx && type != DataType::f32 ? 800 : 150;
}

/// A thread's least rows of a pass that it computes alone: with fewer, it waits for weights more than all threads wait
/// for each other.  Texts of 10 tokens on 2 threads (Zen 4, f32): 2 of them, 10 rows a thread, are 1.5 to 1.8 times as
/// fast together, 4 were 0.94 times in one run and 1.26 in another, 8 are 0.90 times as fast.  Tiles are as much faster
/// as their passes have more rows.
template <class Arch>
constexpr index_t least_rows_alone(DataType type) {
  return rows_a_pass<Arch>(type) / 6;
}

/// The same where threads keep rows of their own through a Transformer's layers (nn/row_shares.hpp); 0: they never do.
/// Each reads all weights, so more threads need more rows each, at most what they need alone.  On 2 threads (Zen 4) 10
/// rows were worth it in bf16 and int8, 5 only between cores far apart.  In f32, whose weights are largest, pictures of
/// ViT-B/32 were 0.88 to 1.00 times as fast (docs/tuning.md).
template <class Arch>
constexpr index_t least_row_share(DataType type, index_t threads) {
  if (type == DataType::f32) return 0;
  const index_t alone = least_rows_alone<Arch>(type);
  return Arch::has_amx || 4 * threads > alone ? alone : 4 * threads;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

// One thread's block of a matrix multiplication, by its type and what the ISA has for it.  Called by kernels/gemm.hpp
// through the table.  Per ISA.
#pragma once

#include "clipon/kernels/micro/gemm.hpp"
#include "clipon/kernels/micro/gemm_tiles.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
inline void gemm(const GemmBlock& block) {
  switch (block.a.type) {
    case DataType::f32:
      if (block.stored_bf16) return gemm_block<Arch, ProductF32<Arch, std::uint16_t>>(block);
      return gemm_block<Arch, ProductF32<Arch>>(block);
    case DataType::bf16:
      if constexpr (Arch::has_amx) return gemm_block_tiles<Arch, simd::Tiles<Arch::has_amx>, DataType::bf16>(block);
      if constexpr (Arch::fast_bf16_dot) return gemm_block<Arch, ProductBf16<Arch>>(block);
      return;
    case DataType::i8:
      if constexpr (Arch::has_amx) return gemm_block_tiles<Arch, simd::Tiles<Arch::has_amx>, DataType::i8>(block);
      if constexpr (Arch::has_byte_dot) return gemm_block<Arch, ProductI8<Arch>>(block);
      return;
    case DataType::i16:
      if constexpr (!Arch::has_byte_dot) return gemm_block<Arch, ProductI16<Arch>>(block);
      return;
    case DataType::f16:
      return;  // no product of this type: the driver never asks for one, nor for others than the table names
  }
}

}  // namespace clipon::inline CLIPON_ABI::kernels

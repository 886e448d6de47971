// The instruction sets that clipon has kernels for, as types.  Layer 1.
// Every loop that must be SIMD is a template on one of these tags, so that code compiled for different ISAs has
// different symbols and the linker can't mix them up (docs/architecture.md, "One binary for every CPU").  A tag derives
// from the tag below it only where it adds instructions to the same registers.
#pragma once

#include "clipon/core/config.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI::simd {

struct scalar {  // portable C++: what processors run that are neither x86-64 nor AArch64
  static constexpr Isa isa = Isa::scalar;
  static constexpr int vector_bits = 32;
  static constexpr bool fast_i8 = false;  // products of int8 are faster than those of f32
  static constexpr bool is_aarch64 = false;
  static constexpr bool has_byte_dot = false;  // bytes are multiplied as they are: VPDPBUSD, SDOT, USMMLA
  static constexpr bool has_sdot = false;      // four products of signed bytes a lane, of a lane of A
  static constexpr bool has_mmla = false;      // two rows by two columns an instruction: USMMLA, BFMMLA
  static constexpr bool has_bf16 = false;
  static constexpr bool fast_bf16_dot = false;  // VDPBF16PS or BFMMLA beats two multiply-adds on widened halves
  static constexpr bool has_amx = false;
};

struct sse2 : scalar {  // every x86-64
  static constexpr Isa isa = Isa::sse2;
  static constexpr int vector_bits = 128;
  static constexpr bool fast_i8 = true;  // VPMADDWD has two products where a multiply-add has one
};

struct avx2 : scalar {  // AVX2 + FMA + F16C: Intel since 2013, AMD since 2015
  static constexpr Isa isa = Isa::avx2;
  static constexpr int vector_bits = 256;
  static constexpr bool fast_i8 = true;
};

struct avx2_vnni : avx2 {  // AVX-VNNI: Intel since 2021 (client), AMD since Zen 5
  static constexpr Isa isa = Isa::avx2_vnni;
  static constexpr bool has_byte_dot = true;
};

struct avx512 : scalar {  // F + BW + DQ + VL: Intel servers since 2017, AMD since Zen 4
  static constexpr Isa isa = Isa::avx512;
  static constexpr int vector_bits = 512;
};

struct avx512_vnni : avx512 {
  static constexpr Isa isa = Isa::avx512_vnni;
  static constexpr bool fast_i8 = true;
  static constexpr bool has_byte_dot = true;
};

struct avx512_bf16 : avx512_vnni {  // AMD since Zen 4; on Intel see simd/cpu.hpp, fast_bf16_dot
  static constexpr Isa isa = Isa::avx512_bf16;
  static constexpr bool has_bf16 = true;
  static constexpr bool fast_bf16_dot = true;
};

struct amx : avx512_bf16 {  // tiles, with bf16 and int8: Intel servers since 2023
  static constexpr Isa isa = Isa::amx;
  static constexpr bool fast_bf16_dot = false;
  static constexpr bool has_amx = true;
};

struct neon : scalar {  // every AArch64
  static constexpr Isa isa = Isa::neon;
  static constexpr int vector_bits = 128;
  static constexpr bool is_aarch64 = true;
};

struct neon_dot : neon {  // SDOT: Armv8.2, Neoverse N1, Cortex-A76, Apple M1
  static constexpr Isa isa = Isa::neon_dot;
  static constexpr bool fast_i8 = true;
  static constexpr bool has_byte_dot = true;
  static constexpr bool has_sdot = true;
};

struct neon_i8mm : neon {  // USMMLA and BFMMLA: Armv8.6, Neoverse V1 and N2, Apple since M2
  static constexpr Isa isa = Isa::neon_i8mm;
  static constexpr bool fast_i8 = true;
  static constexpr bool has_byte_dot = true;
  static constexpr bool has_mmla = true;
  static constexpr bool has_bf16 = true;
  static constexpr bool fast_bf16_dot = true;
};

#if !defined(CLIPON_DISPATCH)
using compiled = CLIPON_ABI_MODE;  // the highest tag that the compiler's own flags allow (core/config.hpp)
#endif

}  // namespace clipon::inline CLIPON_ABI::simd

// What a caller may choose: precision, threads, instruction set, limits on untrusted input.  PUBLIC, layer 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

/// The type that a model computes in, whatever type its file stores.
enum class Precision {
  automatic,  ///< the fastest on this CPU that keeps the documented accuracy
  f32,        ///< the default: equal to the original within 1e-5, the five largest image towers within 5e-5
  bf16,
  int8,
};

/// As the command spells it: auto, f32, bf16, int8.
constexpr const char* to_string(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return "auto";
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
  }
  return "unknown";
}

/// Instruction sets, lowest first: portable C++, those of x86-64, those of AArch64.  `best` is the highest that was
/// built and that this CPU has.
enum class Isa {
  scalar,
  sse2,
  avx2,
  avx2_vnni,
  avx512,
  avx512_vnni,
  avx512_bf16,
  amx,
  neon,
  neon_dot,
  neon_i8mm,
  best
};

/// As the command spells it: sse2, avx512_bf16, best.
constexpr const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::sse2:
      return "sse2";
    case Isa::avx2:
      return "avx2";
    case Isa::avx2_vnni:
      return "avx2_vnni";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_vnni:
      return "avx512_vnni";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
    case Isa::neon:
      return "neon";
    case Isa::neon_dot:
      return "neon_dot";
    case Isa::neon_i8mm:
      return "neon_i8mm";
    case Isa::best:
      return "best";
  }
  return "unknown";
}

class Profile;  // kernels/profile.hpp

constexpr int kMaxThreads = 1024;  ///< that a call may be told to use

/// How Model::load reads a file and how the model computes.
struct LoadOptions {
  Precision precision = Precision::f32;
  /// 0 .. kMaxThreads; 0: as many as the affinity mask and a container's quota allow.  More than the machine has make
  /// calls slower, many times where they are hundreds.  A thread is started by the first call that needs it, and may
  /// run where that caller may (its affinity mask).
  int threads = 0;
  Isa isa = Isa::best;  ///< pins a lower instruction set; CLIPON_ISA in the environment does the same
  /// false: read() the file, which a file that shrinks meanwhile can't hurt, but which takes all of its size in memory,
  /// up to max_file_bytes, before anything of it is checked.
  bool memory_map = true;
  std::uint64_t max_file_bytes = 16ull << 30;  ///< a sparse file may claim to be of any size
  bool verify_checksums = true;                ///< CRC32C of every tensor, where the file carries them
  bool allow_non_finite = false;               ///< true: accept NaN and infinity among the weights
  Profile* profile = nullptr;                  ///< each operator adds its time to it; must outlive the model
  std::size_t max_tensors = 8192;              ///< tensors in a file
  std::size_t max_metadata_keys = 1024;        ///< metadata keys in a file
  std::size_t max_string_bytes = 1 << 20;      ///< one string of the metadata
  std::size_t max_array_length = 1 << 20;      ///< elements of one metadata array (the vocabulary has 49,408)
};

/// How a picture's bytes become an Image.
struct DecodeOptions {
  std::uint64_t max_pixels = 89'478'485;         ///< Pillow's limit against decompression bombs
  std::uint64_t max_side = 65'535;               ///< pixels along either side
  std::uint64_t max_file_bytes = 64ull << 20;    ///< compressed size; beyond 2 GiB less 1 KiB nothing is decoded
  std::uint64_t max_decoder_bytes = 1ull << 30;  ///< memory that the decoder may hold at once
  bool apply_exif_orientation = false;           ///< a JPEG's; the reference ignores EXIF, and so do we unless asked
};

/// How a text becomes tokens.
struct TokenizeOptions {
  std::size_t max_bytes = 16u << 20;  ///< of one text; tokenizing takes time in proportion (n log n of a long word) and
                                      ///< up to 90 times the memory
  bool truncate = false;              ///< too long: keep the first tokens and the end-of-text token instead of an error
  bool replace_invalid_utf8 = false;  ///< replace each ill-formed sequence by U+FFFD instead of an error
};

}  // namespace clipon::inline CLIPON_ABI

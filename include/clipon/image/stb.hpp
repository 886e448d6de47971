// stb_image inside a namespace of our own, with a limit on what it may allocate.  Layer 3; only decoders.hpp includes
// it.
//
// An application may use its own stb_image, before or after us, in this unit or another: its macros are put aside here
// and restored, and every function of our copy is static within the namespace, the extern "C" ones under names of ours.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif
// The C headers by the names that stb_image uses. NOLINTBEGIN(modernize-deprecated-headers)
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// NOLINTEND(modernize-deprecated-headers)

#include <cstdint>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI::detail::stb {

/// What the decoder of this thread may still allocate.  stb_image's allocation hooks take no argument, so this is the
/// library's one mutable variable that is no local; DecoderBudget scopes it to a call.  stb_image has two more: its
/// reason for failing, a thread's own too, and the name of a PNG chunk that it does not know, which read_png_header
/// keeps from it.
struct Allowance {
  std::uint64_t left = 0;
  bool exceeded = false;
  bool out_of_memory = false;
};
inline thread_local Allowance allowance;

class DecoderBudget {
 public:
  explicit DecoderBudget(std::uint64_t bytes) : before_(allowance) { allowance = {bytes, false, false}; }
  DecoderBudget(const DecoderBudget&) = delete;
  DecoderBudget& operator=(const DecoderBudget&) = delete;
  ~DecoderBudget() { allowance = before_; }

 private:
  Allowance before_;
};

// Each block begins with its size, so that freeing gives the allowance back; 16 bytes keep malloc's alignment.
constexpr size_t kBlockHeader = 16;

inline void* allocate(size_t bytes) {
  if (bytes > allowance.left) {
    allowance.exceeded = true;
    return nullptr;
  }
  // zeros: stb_image 2.27 reads tables that a file does not define
  auto* block = static_cast<unsigned char*>(::calloc(bytes + kBlockHeader, 1));
  if (block == nullptr) {
    allowance.out_of_memory = true;
    return nullptr;
  }
  ::memcpy(block, &bytes, sizeof bytes);
  allowance.left -= bytes;
  return block + kBlockHeader;
}

inline void release(void* pointer) {
  if (pointer == nullptr) return;
  unsigned char* block = static_cast<unsigned char*>(pointer) - kBlockHeader;
  size_t bytes = 0;
  ::memcpy(&bytes, block, sizeof bytes);
  allowance.left += bytes;
  ::free(block);
}

inline void* reallocate(void* pointer, size_t old_bytes, size_t bytes) {
  void* grown = allocate(bytes);
  if (grown != nullptr && pointer != nullptr) {
    ::memcpy(grown, pointer, old_bytes < bytes ? old_bytes : bytes);
    release(pointer);
  }
  return grown;
}

}  // namespace clipon::inline CLIPON_ABI::detail::stb

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wextra"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "clipon/image/stb_macros_save.inc"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ASSERT(condition) ((void)0)  // a failed check of stb_image must not end the program
#define STBI_MALLOC(bytes) allocate(bytes)
#define STBI_REALLOC_SIZED(pointer, old_bytes, bytes) reallocate(pointer, old_bytes, bytes)
#define STBI_FREE(pointer) release(pointer)

#include "clipon/image/stb_names_ours.inc"
namespace clipon::inline CLIPON_ABI::detail::stb {
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif
}  // namespace clipon::inline CLIPON_ABI::detail::stb
#include "clipon/image/stb_macros_restore.inc"
#include "clipon/image/stb_names_restore.inc"

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

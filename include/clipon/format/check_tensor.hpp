// What a tensor's bytes show: their checksum, and whether they are finite numbers.  Layer 3; called by weights.hpp and
// models/packing.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "clipon/format/crc32c.hpp"
#include "clipon/format/gguf.hpp"
#include "clipon/parallel/parallel_for.hpp"

namespace clipon::inline CLIPON_ABI::format {

/// What is asked of bytes.
struct Questions {
  bool checksum = true;
  bool finite = true;
};

/// What was found; as if all were well where nothing was asked.
struct TensorCheck {
  std::uint32_t crc32c = 0;
  bool finite = true;

  /// Becomes that of its own bytes and of `bytes` more after them, of which `next` was found.
  void append(const TensorCheck& next, std::size_t bytes) {
    crc32c = (crc32c == 0 ? 0 : crc32c_product(crc32c_power(bytes), crc32c)) ^ next.crc32c;
    finite = finite && next.finite;
  }
};

// An exponent of all ones means infinity or NaN.  Integer tests, which -ffast-math leaves alone.
inline bool all_finite(TensorType type, std::span<const std::byte> bytes) {
  const auto scan = [&](auto exponent, std::size_t step) {
    using Word = decltype(exponent);
    Word hit = 0;
    for (std::size_t i = 0; i + sizeof(Word) <= bytes.size(); i += step) {
      Word word;
      std::memcpy(&word, bytes.data() + i, sizeof word);
      hit = static_cast<Word>(hit | ((word & exponent) == exponent ? 1 : 0));
    }
    return hit == 0;
  };
  switch (type) {
    case TensorType::f32:
      return scan(std::uint32_t{0x7f800000u}, 4);
    case TensorType::f16:
      return scan(std::uint16_t{0x7c00u}, 2);
    case TensorType::bf16:
      return scan(std::uint16_t{0x7f80u}, 2);
    case TensorType::q8_0:
      return scan(std::uint16_t{0x7c00u}, kQ8BlockBytes);
    case TensorType::i8:
      break;
  }
  return true;
}

constexpr std::size_t kCheckPiece = 2048 * kQ8BlockBytes;  // 68 KB: stays in L2; whole numbers and blocks of each type

/// What `bytes`, whole numbers of `type`, show.
inline TensorCheck check_bytes(TensorType type, std::span<const std::byte> bytes, const Questions& asked) {
  TensorCheck found;
  while (!bytes.empty() && (asked.checksum || asked.finite)) {
    const auto piece = bytes.first(std::min(kCheckPiece, bytes.size()));
    bytes = bytes.subspan(piece.size());
    TensorCheck next;
    if (asked.finite) next.finite = all_finite(type, piece);  // in order, as memory is read best; the checksum is not
    if (asked.checksum) next.crc32c = crc32c(piece);
    found.append(next, piece.size());
  }
  return found;
}

/// The same of all bytes of a tensor, by all threads.
inline TensorCheck check_tensor(const TensorInfo& tensor, const Questions& asked, parallel::Threads threads) {
  constexpr index_t least = 4;  // pieces a thread
  const auto pieces = static_cast<index_t>((tensor.bytes.size() + kCheckPiece - 1) / kCheckPiece);
  const parallel::Split shares(pieces, std::min<index_t>(pieces / least, threads.count));
  const auto bytes_of = [&](index_t share) {
    const std::size_t first = static_cast<std::size_t>(shares.first(share)) * kCheckPiece;
    const std::size_t last = static_cast<std::size_t>(shares.first(share + 1)) * kCheckPiece;
    return tensor.bytes.subspan(first, std::min(last, tensor.bytes.size()) - first);
  };
  std::vector<TensorCheck> parts(static_cast<std::size_t>(shares.count));
  parallel::parallel_for(threads, shares.count, [&](index_t share) {
    parts[static_cast<std::size_t>(share)] = check_bytes(tensor.type, bytes_of(share), asked);
  });
  TensorCheck found;
  for (index_t share = 0; share < shares.count; ++share) {
    found.append(parts[static_cast<std::size_t>(share)], bytes_of(share).size());
  }
  return found;
}

}  // namespace clipon::inline CLIPON_ABI::format

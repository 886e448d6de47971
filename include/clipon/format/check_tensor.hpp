// What a tensor's bytes show: their checksum, and whether they are finite numbers.  Layer 3; called by weights.hpp,
// models/packing.hpp and models/registry.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
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

// Whether no number of `bytes` has an exponent of all ones, which means infinity or NaN.  exponent: its bits in a
// number.  One more in its lowest bit then carries to the sign's place, so eight bytes of numbers are one test; a loop
// of numbers is vectorised by -O3 alone, and -O2 looked at 3.6 GB/s.  Integers, which -ffast-math leaves alone.
template <class Word>
bool all_exponents_finite(std::span<const std::byte> bytes, Word exponent) {
  constexpr std::uint64_t each = ~std::uint64_t{0} / std::numeric_limits<Word>::max();
  constexpr std::uint64_t signs = each << (std::numeric_limits<Word>::digits - 1);
  const std::uint64_t exponents = each * exponent;
  const std::uint64_t ones = each * static_cast<Word>(exponent & (~exponent + 1));
  std::uint64_t carried = 0;
  const auto look = [&](std::size_t at, std::size_t n) {
    std::uint64_t numbers = 0;
    std::memcpy(&numbers, bytes.data() + at, n);
    carried |= (numbers & exponents) + ones;
  };
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) look(at, 8);
  if (whole < bytes.size()) look(whole, bytes.size() - whole);
  return (carried & signs) == 0;
}

inline bool all_finite(TensorType type, std::span<const std::byte> bytes) {
  switch (type) {
    case TensorType::f32:
      return all_exponents_finite(bytes, std::uint32_t{0x7f800000u});
    case TensorType::f16:
      return all_exponents_finite(bytes, std::uint16_t{0x7c00u});
    case TensorType::bf16:
      return all_exponents_finite(bytes, std::uint16_t{0x7f80u});
    case TensorType::q8_0:
      for (std::size_t at = 0; at + kQ8BlockBytes <= bytes.size(); at += kQ8BlockBytes) {
        if (!all_exponents_finite(bytes.subspan(at, 2), std::uint16_t{0x7c00u})) return false;  // a block's scale
      }
      break;
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

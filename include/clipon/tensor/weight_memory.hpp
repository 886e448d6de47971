// The memory of a model's packed weights: blocks of huge pages, cut from front to back.  Layer 1; used at load by
// PackedMatrix.  A matrix of its own would mostly be smaller than a huge page, or end in the middle of one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>

#include "clipon/core/aligned.hpp"

namespace clipon::inline CLIPON_ABI {

/// Bytes that are freed with the last pointer to them, or to others of their block.
using WeightBytes = std::shared_ptr<std::byte>;

class WeightMemory {
 public:
  /// Uninitialised, 64-byte aligned; from any thread.
  WeightBytes take(std::size_t bytes) {
    if (bytes == 0) return {};
    const std::lock_guard lock(mutex_);
    if (kExactEnds || taken_ < kLeastHuge) {  // a small model has no use for huge pages
      taken_ += bytes;
      return block_of(bytes);
    }
    bytes = round_up(bytes, kAlignment);
    if (bytes > left_) {
      const std::size_t size = std::max(bytes, std::clamp(taken_, kLeastHuge, kMostBlock));
      next_ = block_of(size);
      left_ = size;
    }
    WeightBytes cut = next_;
    next_ = {next_, next_.get() + bytes};
    left_ -= bytes;
    taken_ += bytes;
    return cut;
  }

  /// The same without a block to share.
  static WeightBytes block_of(std::size_t bytes) {
    auto block = std::make_shared<AlignedBuffer<std::byte>>(bytes, Pages::huge);
    return {block, block->data()};
  }

 private:
  static constexpr std::size_t kMostBlock = std::size_t{64} << 20;  // what is left of one is never touched

  std::mutex mutex_;
  WeightBytes next_;       // of the block that is being cut
  std::size_t left_ = 0;   // bytes from next_ on
  std::size_t taken_ = 0;  // bytes in all
};

}  // namespace clipon::inline CLIPON_ABI

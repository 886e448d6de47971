// Scratch: the memory of one call, handed out front to back and taken back all at once.  Layer 1.
// A forward pass computes its size first, asks for it once, and allocates nothing else.  Model keeps a pool of these,
// so that concurrent calls don't share one and repeated calls don't allocate.
#pragma once

#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "clipon/core/aligned.hpp"
#include "clipon/core/process.hpp"
#include "clipon/core/types.hpp"

namespace clipon::inline CLIPON_ABI {

class Scratch {
 public:
  /// Room for `bytes` in all; what was handed out before is void.
  void reset(index_t bytes) {
    if (static_cast<std::size_t>(bytes) > memory_.size()) {
      memory_ = {};  // give back before asking for more
      memory_ = AlignedBuffer<unsigned char>(static_cast<std::size_t>(bytes), Pages::huge);
    }
    used_ = 0;
  }

  /// The next n elements, 64-byte aligned, uninitialised.
  template <class T>
  T* take(index_t n) {
    const index_t bytes = size_for<T>(n);
    if (used_ + bytes > static_cast<index_t>(memory_.size())) throw std::bad_alloc();  // a size_for was forgotten
    auto* start = memory_.data() + used_;
    used_ += bytes;
    return reinterpret_cast<T*>(start);
  }

  /// What take<T>(n) uses up.
  template <class T>
  static constexpr index_t size_for(index_t n) {
    return round_up(n * static_cast<index_t>(sizeof(T)), kAlignment);
  }

 private:
  AlignedBuffer<unsigned char> memory_;
  index_t used_ = 0;
};

/// Memory that a caller holds, handed out as Scratch does; of no memory only the size is counted.
class ScratchPart {
 public:
  explicit ScratchPart(unsigned char* memory) : memory_(memory) {}

  template <class T>
  T* take(index_t n) {
    unsigned char* start = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ += Scratch::size_for<T>(n);
    return reinterpret_cast<T*>(start);
  }
  /// Handed out so far.
  [[nodiscard]] index_t bytes() const { return bytes_; }

 private:
  unsigned char* memory_;
  index_t bytes_ = 0;
};

/// Scratches that are not in use; a loaded model's only mutable part, behind a mutex.  In a forked child it lends fresh
/// ones and keeps none: the mutex may be a thread's that the child does not have.
class ScratchPool {
 public:
  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<Scratch> scratch) : pool_(&pool), scratch_(std::move(scratch)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (scratch_) pool_->give_back(std::move(scratch_));
    }
    Scratch& operator*() const { return *scratch_; }

   private:
    ScratchPool* pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  Lease borrow() {
    std::unique_ptr<Scratch> scratch = take_free();
    if (!scratch) scratch = std::make_unique<Scratch>();
    return {*this, std::move(scratch)};
  }

 private:
  std::unique_ptr<Scratch> take_free() {
    if (!process_.is_here()) return nullptr;
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return nullptr;
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void give_back(std::unique_ptr<Scratch> scratch) noexcept {
    if (!process_.is_here()) return;
    const std::lock_guard lock(mutex_);
    try {
      free_.push_back(std::move(scratch));
    } catch (const std::bad_alloc&) {  // then it is simply freed
    }
  }

  HomeProcess process_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

}  // namespace clipon::inline CLIPON_ABI

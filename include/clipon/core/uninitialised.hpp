// An allocator for arrays whose numbers are all written later, by several threads.  Layer 0.
// std::vector would set them to zero first: one thread alone would wait for the system to map the memory.
#pragma once

#include <memory>
#include <new>
#include <type_traits>

#include "clipon/core/config.hpp"

namespace clipon::inline CLIPON_ABI {

template <class T>
struct Uninitialised : std::allocator<T> {
  static_assert(std::is_trivially_default_constructible_v<T>);
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the name that the standard gives it
    using other = Uninitialised<U>;
  };
  template <class U>
  void construct(U* p) noexcept {
    ::new (static_cast<void*>(p)) U;
  }
  template <class U, class... Arguments>
  void construct(U* p, Arguments&&... arguments) {
    ::new (static_cast<void*>(p)) U(static_cast<Arguments&&>(arguments)...);
  }
};

}  // namespace clipon::inline CLIPON_ABI

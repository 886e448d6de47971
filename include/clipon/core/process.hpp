// Which process an object was made in.  Layer 0; used by parallel/ and ScratchPool.
// fork copies objects, but no threads but the caller's: in the child nothing can be joined, and a lock that another
// thread held stays locked.
#pragma once

#include "clipon/core/config.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace clipon::inline CLIPON_ABI {

class HomeProcess {
 public:
  /// False in a process that was forked from the one that made this.
  [[nodiscard]] bool is_here() const { return id_ == current(); }

 private:
#if defined(__unix__) || defined(__APPLE__)
  static pid_t current() {
    return ::getpid();
  }
#else
  static int current() {
    return 0;
  }
#endif

  decltype(current()) id_ = current();
};

}  // namespace clipon::inline CLIPON_ABI

// Threads that leave the process's signals to the application's own.  Layer 1; used where threads are started.
#pragma once

#include "clipon/core/config.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): <csignal> need not have pthread_sigmask

#include <initializer_list>
#endif

namespace clipon::inline CLIPON_ABI::parallel {

/// While it lives, threads that this one starts block signals: one that the application has blocked in its threads, to
/// wait for it, must not end the process in ours.  Not those of a thread's own faults, nor a profiler's.
class SignalsBlocked {
 public:
#if defined(__unix__) || defined(__APPLE__)
  SignalsBlocked() {
    sigset_t most;
    ::sigfillset(&most);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF}) ::sigdelset(&most, own);
    ::pthread_sigmask(SIG_BLOCK, &most, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
#endif
};

}  // namespace clipon::inline CLIPON_ABI::parallel

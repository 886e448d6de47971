// What a call allocates, and allocations that fail on command.  Only tests/trust links this.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memory {

/// True where malloc itself is watched; under a sanitizer only operator new is, and nothing is counted.
bool counts();

std::size_t in_use();  ///< bytes, of the whole process
std::size_t peak();    ///< most bytes in use since reset_peak()
void reset_peak();

/// The n-th allocation of this thread from now on (1: the next) returns null, or throws std::bad_alloc; all later ones
/// too if `from_then_on`.  0: none fails.
void fail_at(std::uint64_t n, bool from_then_on = false);
std::uint64_t allocations();  ///< of this thread since fail_at()

/// How read() misbehaves.
enum class Reading { normal, one_byte, interrupted, broken };
/// From the n-th read() of the process on (1: the next).
void read_as(Reading how, std::uint64_t n = 1);

}  // namespace memory

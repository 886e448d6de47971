// What libFuzzer calls: the target that CLIPON_FUZZ_TARGET names.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::CLIPON_FUZZ_TARGET(data, size);
}

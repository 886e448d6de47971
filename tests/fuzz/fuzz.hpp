// What the fuzz targets share.  A broken promise throws std::logic_error, which libFuzzer and replay.cpp report.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define CLIPON_FUZZ_MSAN
#endif
#endif

namespace fuzz {

using Target = int(const std::uint8_t* data, std::size_t size);
Target gguf, model, picture, text, api;  // each in the file fuzz_NAME.cpp

#if defined(CLIPON_FUZZ_MSAN)
constexpr auto kFastest = clipon::Isa::scalar;  // MemorySanitizer doesn't follow every vector instruction
#else
constexpr auto kFastest = clipon::Isa::best;
#endif

inline void expect(bool holds, const char* promise) {
  if (!holds) throw std::logic_error(promise);
}

inline void expect_finite(const clipon::Vector& v) {
  for (Eigen::Index i = 0; i < v.size(); ++i) expect(clipon::is_finite(double{v[i]}), "an embedding is finite");
}

inline void expect_one_line(const clipon::Error& error) {
#if defined(CLIPON_FUZZ_MSAN)
  __msan_unpoison_string(error.what());  // std::runtime_error copies it in libstdc++'s compiled part
#endif
  const std::string_view message = error.what();
  expect(!message.empty() && message.size() < 8192, "a message is short");
  for (const char c : message) expect(static_cast<unsigned char>(c) >= 0x20, "a message is one printable line");
}

}  // namespace fuzz

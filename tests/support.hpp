// What many tests need: random numbers with a fixed seed, the ISAs of this machine, paths, error codes.
#pragma once

#include <doctest/doctest.h>

#include <clipon/clipon.hpp>
#include <random>
#include <string>
#include <vector>

namespace support {

inline std::string source_path(const std::string& relative) {
  return std::string(CLIPON_SOURCE_DIR) + "/" + relative;
}
inline std::string golden_path(const std::string& relative) {
  return source_path("tests/golden/" + relative);
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  float normal() { return normal_(engine_); }
  std::ptrdiff_t whole(std::ptrdiff_t low, std::ptrdiff_t high) {
    return std::uniform_int_distribution<std::ptrdiff_t>(low, high)(engine_);
  }
  std::vector<float> normals(std::ptrdiff_t n, float scale = 1.0f) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) v = scale * normal();
    return values;
  }
  std::vector<std::uint8_t> bytes(std::ptrdiff_t n) {
    std::vector<std::uint8_t> values(static_cast<std::size_t>(n));
    for (auto& v : values) v = static_cast<std::uint8_t>(whole(0, 255));
    return values;
  }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

/// Each table that this machine can run, by name in the test's log.
template <class Body>
void for_each_isa(const Body& body) {
  const auto usable = clipon::kernels::usable_isas();
  REQUIRE_FALSE(usable.empty());
  for (const clipon::Isa isa : usable) {
    const std::string name = clipon::to_string(isa);
    CAPTURE(name);
    body(*clipon::kernels::built_table(isa));
  }
}

/// The code that body() throws; fails the test when it throws nothing or something else.
template <class Body>
clipon::ErrorCode code_of(const Body& body) {
  try {
    body();
  } catch (const clipon::Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);  // one line
    return error.code();
  }
  FAIL("expected clipon::Error");
  return clipon::ErrorCode::io;
}

inline const clipon::Model& demo_model() {
  static const clipon::Model model = clipon::Model::load_demo();
  return model;
}

}  // namespace support

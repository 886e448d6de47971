// Operators tell a profile their work, and compute the same with one as without.
#include <doctest/doctest.h>

#include <chrono>
#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/select.hpp>
#include <clipon/nn/layer_norm.hpp>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace {

using clipon::DataType;
using clipon::index_t;
using clipon::kernels::Context;

// out = A W^T for small whole numbers, so that sums are exact.
std::vector<float> product(const Context& context) {
  constexpr index_t m = 5;
  constexpr index_t n = 7;
  constexpr index_t k = 11;
  std::vector<float> a(m * k);
  std::vector<float> w(n * k);
  std::iota(a.begin(), a.end(), -20.0f);
  std::iota(w.begin(), w.end(), -30.0f);
  const clipon::kernels::PackedMatrix packed(context, {w.data(), nullptr, DataType::f32, n, k});
  std::vector<float> out(m * n);
  clipon::kernels::Epilogue epilogue;
  epilogue.out = out.data();
  epilogue.out_stride = n;
  clipon::kernels::gemm(context, {a.data(), k, DataType::f32, nullptr}, m, packed, epilogue);
  return out;
}

}  // namespace

TEST_CASE("a profile sums up the calls of one operator and shape, and changes no result") {
  clipon::Profile profile;
  const auto& table = clipon::kernels::select_table(clipon::Isa::best);
  const Context plain{&table, {2}};
  const Context profiled{&table, {2}, &profile};
  const std::vector<float> expected = product(plain);
  CHECK(profile.times().empty());
  CHECK(product(profiled) == expected);
  CHECK(product(profiled.alone()) == expected);
  clipon::nn::LayerNorm norm{std::vector<float>(4, 1.0f), std::vector<float>(4, 0.0f)};
  std::vector<float> rows = {1, 2, 3, 4, 5, 6, 7, 8};
  clipon::nn::forward(profiled, norm, rows.data(), 2);

  const auto times = profile.times();
  REQUIRE(times.size() == 2);
  CHECK(std::string(times[0].name) == "gemm");
  CHECK(times[0].outputs == 7);
  CHECK(times[0].inputs == 11);
  CHECK(times[0].calls == 2);
  CHECK(times[0].rows == 10.0);
  CHECK(times[0].operations == 2.0 * 2 * 5 * 7 * 11);
  CHECK(times[0].thread_seconds > 0.0);
  CHECK(std::string(times[1].name) == "layer_norm");
  CHECK(times[1].rows == 2.0);
  profile.reset();
  CHECK(profile.times().empty());
}

TEST_CASE("a profile keeps operators apart that differ in name, type or shape") {
  clipon::Profile profile;
  const clipon::OperatorTime first{"gemm", DataType::f32, 7, 11};
  for (int i = 0; i < 2; ++i) {
    profile.add(first);
    profile.add({"attention", DataType::f32, 7, 11});
    profile.add({"gemm", DataType::bf16, 7, 11});
    profile.add({"gemm", DataType::f32, 8, 11});
    profile.add({"gemm", DataType::f32, 7, 12});
  }
  CHECK(profile.times().size() == 5);
}

TEST_CASE("an operator's time is that of all threads that it could use") {
  clipon::Profile profile;
  const auto start = std::chrono::steady_clock::now();
  {
    const Context context{nullptr, {1000}, &profile};
    const auto span = context.timed({"gemm", DataType::f32, 7, 11});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  REQUIRE(profile.times().size() == 1);
  CHECK(profile.times()[0].thread_seconds >= 1000 * 0.001);
  CHECK(profile.times()[0].thread_seconds <= 1000 * elapsed.count());
}

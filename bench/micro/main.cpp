// bench_micro: the matrix products of a model, alone: clipon beside oneDNN, OpenBLAS and Eigen, each as a share of the
// peak that registers alone reach in the same round.  `bench_micro --help` lists the options.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clipon/clipon.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "micro/contenders.hpp"
#include "peak.hpp"

namespace {

struct Options {
  std::vector<std::string> arch = {"ViT-B/32"};
  std::vector<std::string> types = {"f32", "bf16", "int8"};
  std::vector<int> threads = {1, 2};
  std::vector<clipon::index_t> m;  // empty: all
  std::string isa = "best";
  bool alone = false;
  int rounds = 7;
  double milliseconds = 15.0;
};

// Operations a second of as many calls as fill `milliseconds`.
double rate(bench::Contender& contender, double operations, double milliseconds) {
  int calls = 0;
  const bench::Stopwatch watch;
  do {
    contender.run();
    ++calls;
  } while (watch.milliseconds() < milliseconds);
  return operations * calls * 1e3 / watch.milliseconds();
}

// How far some elements of the last result are from the products of the values that were given.
double greatest_error(const bench::Matrices& in, const bench::Contender& contender) {
  const clipon::index_t column = in.shape.n - 1;
  double greatest = 0.0;
  for (const clipon::index_t row : {clipon::index_t{0}, in.shape.m / 2, in.shape.m - 1}) {
    double sum = 0.0;
    for (clipon::index_t k = 0; k < in.shape.k; ++k) {
      const auto a = static_cast<std::size_t>(row * in.shape.k + k);
      const auto w = static_cast<std::size_t>(column * in.shape.k + k);
      sum += double{in.a[a]} * double{in.w[w]};
    }
    greatest = std::max(greatest, std::abs(contender.result(row, column) - sum));
  }
  return greatest;
}

// Bytes stand for values within 1/255 of A's range 1 and 1/127 of W's range 2, bf16 for such within 1/256: an error of
// about 0.01 a product, which adds up as sqrt(k) does.
double error_limit(const bench::Shape& shape) {
  return 0.03 * std::sqrt(static_cast<double>(shape.k));
}

constexpr const char* kNames[] = {"clipon", "in pairs", "oneDNN", "OpenBLAS", "Eigen"};
constexpr std::size_t kContenders = std::size(kNames);
constexpr std::size_t kFirstPeer = 2;

void measure(const Options& options, const bench::Shape& shape, clipon::DataType type, int threads) {
  const clipon::kernels::Context context{&clipon::kernels::select_table(clipon::kernels::parse_isa(options.isa)),
                                         {threads}};
  const bench::Matrices in = bench::make_matrices(shape);
  using clipon::kernels::Rows;
  std::unique_ptr<bench::Contender> contenders[kContenders] = {bench::make_clipon(context, in, type, Rows::single),
                                                               bench::make_clipon(context, in, type, Rows::in_pairs)};
  if (!options.alone) {
    contenders[2] = bench::make_onednn(threads, in, type);
    contenders[3] = bench::make_openblas(threads, in, type);
    contenders[4] = bench::make_eigen(threads, in, type);
  }
  const double operations =
      2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  std::vector<double> peaks;
  std::vector<double> rates[kContenders];
  for (int round = -1; round < options.rounds; ++round) {  // the first, to warm up, does not count
    const double peak = bench::peak_rate(context, type);
    if (round >= 0) peaks.push_back(peak);
    for (std::size_t c = 0; c < kContenders; ++c) {
      if (!contenders[c]) continue;
      const double found = rate(*contenders[c], operations, options.milliseconds);
      if (round >= 0) rates[c].push_back(found);
    }
  }
  bool wrong[kContenders] = {};
  for (std::size_t c = 0; c < kContenders; ++c) {
    if (!contenders[c]) continue;
    const double error = greatest_error(in, *contenders[c]);
    wrong[c] = error > error_limit(shape);
    if (wrong[c] && c < kFirstPeer) {
      throw std::runtime_error(std::string(kNames[c]) + ": results differ from the product by " +
                               std::to_string(error));
    }
  }
  const double peak = *std::max_element(peaks.begin(), peaks.end());
  std::printf("%-5s %2d %5td %5td %5td  %-24s %8.1f", to_string(type), threads, shape.m, shape.n, shape.k,
              shape.what.c_str(), peak * 1e-9);
  double best_peer = 0.0;
  for (std::size_t c = 0; c < kContenders; ++c) {
    if (!contenders[c]) {
      std::printf("        -      ");
      continue;
    }
    const double found = bench::median(rates[c]);
    if (c >= kFirstPeer && !wrong[c]) best_peer = std::max(best_peer, found);
    std::printf(" %8.1f %.3f%c", found * 1e-9, found / peak, wrong[c] ? '!' : ' ');
  }
  if (best_peer > 0.0) std::printf(" %5.2f", bench::median(rates[0]) / best_peer);
  std::printf("\n");
  std::fflush(stdout);
}

std::vector<std::string> arch_names() {
  std::vector<std::string> names = {"all"};
  for (const bench::Architecture& a : bench::kArchitectures) names.emplace_back(a.name);
  return names;
}

// OPENBLAS_CORETYPE and its like pin other kernels than the CPU's own, and are read before main.
void forget_pinned_kernels(char** argv) {
  bool found = false;
  for (const char* name : {"OPENBLAS_CORETYPE", "NVPL_BLAS_DEBUG_CPU_TYPE"}) {
    found = found || std::getenv(name) != nullptr;
    unsetenv(name);
  }
  if (found) execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) try {
  forget_pinned_kernels(argv);
  Options options;
  CLI::App app{"Matrix products of a model: clipon, oneDNN, OpenBLAS, Eigen"};
  app.add_option("--arch", options.arch, "Whose shapes; 'all' for every architecture")
      ->delimiter(',')
      ->check(CLI::IsMember(arch_names()))
      ->capture_default_str();
  app.add_option("--types", options.types, "f32, bf16, int8")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads")
      ->delimiter(',')
      ->check(CLI::Range(1, clipon::kMaxThreads))
      ->capture_default_str();
  app.add_option("--m", options.m, "Only shapes of these numbers of rows")->delimiter(',');
  app.add_option("--isa", options.isa, "Pin clipon's instruction set")->capture_default_str();
  app.add_flag("--alone", options.alone, "clipon without the others");
  app.add_option("--rounds", options.rounds, "Rounds, of which the median counts")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--milliseconds", options.milliseconds, "Of each contender in each round")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const auto& table = clipon::kernels::select_table(clipon::kernels::parse_isa(options.isa));
  std::printf("clipon %s (%s, tile %td x %td), %s\n", CLIPON_VERSION_STRING, clipon::to_string(table.isa),
              table.gemm_rows(clipon::DataType::f32), table.panel_columns(clipon::DataType::f32),
              bench::contender_versions().c_str());
  std::printf(
      "GFLOP/s and share of the peak, median of %d rounds; in pairs: as a Vision Transformer's; "
      "last: clipon over the best of the others; "
      "!: a wrong product (oneDNN's sums of two products of bytes saturate where there is no VNNI)\n",
      options.rounds);
  std::printf("type   t     m     n     k  %-24s     peak", "what");
  for (const char* name : kNames) std::printf(" %14s", name);
  std::printf("  ratio\n");
  std::vector<bench::Shape> shapes;
  for (const bench::Architecture& a : bench::kArchitectures) {
    const bool wanted = std::any_of(options.arch.begin(), options.arch.end(),
                                    [&](const std::string& name) { return name == "all" || name == a.name; });
    if (!wanted) continue;
    for (const bench::Shape& shape : bench::shapes_of(a)) bench::add_shape(shapes, shape);
  }
  for (const std::string& type : options.types) {
    for (const bench::Shape& shape : shapes) {
      if (!options.m.empty() && std::find(options.m.begin(), options.m.end(), shape.m) == options.m.end()) continue;
      for (const int threads : options.threads) {
        measure(options, shape,
                type == "f32"    ? clipon::DataType::f32
                : type == "bf16" ? clipon::DataType::bf16
                                 : clipon::DataType::i8,
                threads);
      }
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_micro: %s\n", error.what());
  return 1;
}

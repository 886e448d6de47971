// clipon bench: pictures and texts a second, latencies, and how near the products come to the CPU's peak.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "commands/bench_profile.hpp"
#include "commands/commands.hpp"
#include "measure.hpp"
#include "nominal_operations.hpp"
#include "outputs.hpp"
#include "peak.hpp"
#include "random_model.hpp"

namespace cli {

namespace {

struct BenchOptions {
  std::string arch;
  std::string tower = "both";
  std::vector<std::size_t> batches = {1, 8, 32};
  std::vector<int> threads;
  std::vector<std::string> precisions;
  std::vector<std::string> isas;
  std::string json;
  double seconds = 2.0;
  bool profile = false;
};

// What is measured: bytes of a model file, and the operations that its towers nominally take.
struct Subject {
  std::vector<std::byte> made;  // --arch
  std::string path;             // --model
  bench::NominalOperations nominal{};

  [[nodiscard]] clipon::Model load(clipon::LoadOptions options) const {
    options.verify_checksums = made.empty();
    if (!made.empty()) return clipon::Model::load_from_memory(made, options);
    return path.empty() ? clipon::Model::load_demo(options) : clipon::Model::load(path, options);
  }
};

Subject make_subject(const BenchOptions& options, const Settings& settings) {
  Subject subject;
  if (options.arch.empty()) {
    subject.path = settings.model;
    if (subject.path.empty()) throw UsageError("bench: expected --arch NAME or --model FILE");
    const clipon::format::MappedFile file(subject.path, true);
    subject.nominal = clipon::detail::naming(
        subject.path, [&] { return bench::nominal_operations(clipon::format::Gguf(file.bytes(), {})); });
    return subject;
  }
  if (!settings.model.empty()) throw UsageError("bench: expected --arch NAME or --model FILE, found both");
  const bench::Architecture* architecture = bench::find_architecture(options.arch);
  if (architecture == nullptr) {
    std::string names;
    for (const auto& a : bench::kArchitectures) names += (names.empty() ? "" : ", ") + std::string(a.name);
    throw UsageError("--arch: expected one of " + names + ", found '" + options.arch + "'");
  }
  subject.made = bench::random_model(*architecture, clipon::Model::load_demo().tokenizer().config());
  subject.nominal = bench::nominal_operations(clipon::format::Gguf(subject.made, {}));
  return subject;
}

// Different texts of about ten tokens.
std::vector<std::string> make_texts(std::size_t n) {
  const char* openings[] = {"a photo of a",     "my old",    "one more", "the big",
                            "a drawing of the", "two small", "this is a"};
  const char* things[] = {"dog", "house", "red car", "guitar", "bicycle", "glass of water", "tree", "cat", "boat"};
  const char* places[] = {"in the garden", "on a table", "near the sea", "at night in the city", "under a blue sky"};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < n; ++i) {
    texts.push_back(std::string(openings[i % 7]) + " " + things[i % 9] + " " + places[i % 5] +
                    (i < 315 ? "" : " " + std::to_string(i)));
  }
  return texts;
}

// Normalised pixels as a picture's are: about -2 .. 2.
std::vector<float> make_pixels(std::size_t n) {
  std::vector<float> pixels(n);
  std::uint32_t state = 1;
  for (float& pixel : pixels) {
    state = state * 1664525u + 1013904223u;  // Knuth's linear congruential generator
    pixel = static_cast<float>(state >> 8) * 0x1p-22f - 2.0f;
  }
  return pixels;
}

// One model in one precision on one instruction set and some threads.
class Bench {
 public:
  Bench(const BenchOptions& options, const Subject& subject, const clipon::LoadOptions& load)
      : options_(options), subject_(subject), load_(load), model_(timed_load(subject, load)) {
    type_ = clipon::kernels::product_type(model_.precision());
  }

  /// rows of results, printed as they come
  void run(nlohmann::ordered_json& results) {
    std::printf("%s, %s on %s, %d thread%s: loaded in %.0f ms, %.0f MB of anonymous memory\n",
                clipon::one_line(model_.info().name).c_str(), to_string(model_.precision()), to_string(model_.isa()),
                model_.threads(), model_.threads() == 1 ? "" : "s", load_milliseconds_, megabytes("RssAnon"));
    std::printf("  %-6s %5s %10s %9s %9s %9s %9s %6s %9s %7s\n", "tower", "batch", "a second", "p50 ms", "p95 ms",
                "p99 ms", "GFLOP/s", "peak", "peak MB", "others");
    for (const std::size_t batch : options_.batches) {
      if (options_.tower != "text") results.push_back(pictures(batch));
      if (options_.tower != "image") results.push_back(texts(batch));
    }
  }

 private:
  clipon::Model timed_load(const Subject& subject, const clipon::LoadOptions& load) {
    bench::release_free_memory();
    const bench::Stopwatch watch;
    clipon::Model model = subject.load(load);
    load_milliseconds_ = watch.milliseconds();
    return model;
  }

  // RssAnon or VmHWM without the file that --arch keeps in memory.
  [[nodiscard]] double megabytes(const char* key) const {
    return bench::status_megabytes(key) - static_cast<double>(subject_.made.size()) * 1e-6;
  }

  nlohmann::ordered_json pictures(std::size_t batch) {
    const auto size = static_cast<std::size_t>(model_.image_size());
    const std::vector<float> pixels = make_pixels(batch * 3 * size * size);
    return measure("image", batch, subject_.nominal.picture,
                   [&](const clipon::Model& model) { (void)model.embed_pixels(pixels, batch); });
  }
  nlohmann::ordered_json texts(std::size_t batch) {
    const std::vector<std::string> all = make_texts(batch);
    return measure("text", batch, subject_.nominal.text,
                   [&](const clipon::Model& model) { (void)model.embed_texts(all); });
  }

  template <class Call>
  nlohmann::ordered_json measure(const char* tower, std::size_t batch, double operations, const Call& call) {
    bench::release_free_memory();
    bench::reset_peak_memory();
    double peak = bench::peak_rate(model_.context(), type_);
    const bench::OtherLoad load;
    const bench::Latencies latencies = bench::time_calls(options_.seconds, 5, [&] { call(model_); });
    const double others = load.share();
    peak = std::max(peak, bench::peak_rate(model_.context(), type_));
    const double p50 = latencies.percentile(0.5);
    const double a_second = static_cast<double>(batch) * 1e3 / p50;
    nlohmann::ordered_json row = {{"model", model_.info().name},
                                  {"tower", tower},
                                  {"precision", to_string(model_.precision())},
                                  {"isa", to_string(model_.isa())},
                                  {"threads", model_.threads()},
                                  {"batch", batch},
                                  {"calls", latencies.calls()},
                                  {"items_a_second", a_second},
                                  {"p50_ms", p50},
                                  {"p95_ms", latencies.percentile(0.95)},
                                  {"p99_ms", latencies.percentile(0.99)},
                                  {"gflop_an_item", operations * 1e-9},
                                  {"gflops", a_second * operations * 1e-9},
                                  {"peak_gflops", peak * 1e-9},
                                  {"share_of_peak", a_second * operations / peak},
                                  {"load_ms", load_milliseconds_},
                                  {"rss_anon_mb", megabytes("RssAnon")},
                                  {"rss_peak_mb", megabytes("VmHWM")},
                                  {"other_load", others}};
    std::printf("  %-6s %5zu %10.1f %9.2f %9.2f %9.2f %9.1f %6.3f %9.0f %6.1f%%\n", tower, batch, a_second, p50,
                latencies.percentile(0.95), latencies.percentile(0.99), a_second * operations * 1e-9,
                a_second * operations / peak, megabytes("VmHWM"), 100.0 * others);
    if (options_.profile) {
      row["profile"] = profile(latencies.calls(), peak, call);
      print_profile(row["profile"]);
    }
    std::fflush(stdout);
    return row;
  }

  // A second model, so that the first one's times are those without a profile.
  template <class Call>
  nlohmann::ordered_json profile(std::size_t calls, double peak, const Call& call) const {
    clipon::Profile times;
    clipon::LoadOptions load = load_;
    load.profile = &times;
    const clipon::Model model = subject_.load(load);
    call(model);
    times.reset();
    const bench::Stopwatch watch;
    for (std::size_t i = 0; i < calls; ++i) call(model);
    const double seconds = watch.milliseconds() * 1e-3;
    std::map<clipon::DataType, double> peaks = {{type_, peak}};
    return describe_profile(times, static_cast<double>(calls), seconds, model.context(), [&](clipon::DataType type) {
      const auto [entry, is_new] = peaks.try_emplace(type, 0.0);
      if (is_new) entry->second = bench::peak_rate(model_.context(), type);
      return entry->second;
    });
  }

  const BenchOptions& options_;
  const Subject& subject_;
  clipon::LoadOptions load_;
  double load_milliseconds_ = 0.0;
  clipon::Model model_;
  clipon::DataType type_ = clipon::DataType::f32;
};

// What every command takes and this one has no use for.
void refuse_what_changes_nothing(const CLI::App& app) {
  const std::pair<const char*, const char*> options[] = {
      {"--json", "expected behind bench, with a file's name"},
      {"--exif", "expected not here, as bench's pictures are made in memory"},
      {"--truncate", "expected not here, as bench's texts are made in memory"}};
  for (const auto& [name, why] : options) {
    if (app.count(name) > 0) throw UsageError(std::string("bench: ").append(name).append(": ").append(why));
  }
}

ExitCode run_bench(const Settings& settings, BenchOptions options) {
  if (options.threads.empty()) options.threads = {settings.threads};
  if (options.precisions.empty()) options.precisions = {settings.precision};
  if (options.isas.empty()) options.isas = {settings.isa};
  for (const std::string& isa : options.isas) (void)clipon::kernels::select_table(clipon::kernels::parse_isa(isa));
  expect_writable(options.json);
  const Subject subject = make_subject(options, settings);
  const auto cpu = clipon::cpu_report();
  std::printf("clipon %s, %s; operations counted as published: %.2f GFLOP a picture, %.2f a text\n",
              CLIPON_VERSION_STRING, cpu.brand.c_str(), subject.nominal.picture * 1e-9, subject.nominal.text * 1e-9);
  auto results = nlohmann::ordered_json::array();
  for (const std::string& precision : options.precisions) {
    for (const std::string& isa : options.isas) {
      for (const int threads : options.threads) {
        Settings one = settings;
        one.precision = precision;
        one.isa = isa;
        one.threads = threads;
        Bench(options, subject, load_options(one)).run(results);
      }
    }
  }
  if (!options.json.empty()) {
    const nlohmann::ordered_json all = {{"clipon", CLIPON_VERSION_STRING},
                                        {"cpu", {{"vendor", cpu.vendor}, {"brand", cpu.brand}}},
                                        {"results", results}};
    write_text(options.json, json_text(all));
  }
  return ExitCode::success;
}

}  // namespace

void add_bench(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("bench", "How fast a model is here, and how near to what the CPU could do");
  auto options = std::make_shared<BenchOptions>();
  command->add_option("--arch", options->arch, "One of OpenAI's architectures with made-up weights, e.g. ViT-B/32");
  command->add_option("--tower", options->tower, "Whose speed")
      ->check(CLI::IsMember({"image", "text", "both"}))
      ->capture_default_str();
  command->add_option("--batch", options->batches, "Items a call")
      ->delimiter(',')
      ->transform(whole_number_from(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Numbers of threads")
      ->delimiter(',')
      ->transform(whole_number_from(0, clipon::kMaxThreads));
  command->add_option("--precision", options->precisions, "Precisions")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "bf16", "int8", "auto"}));
  command->add_option("--isa", options->isas, "Instruction sets")->delimiter(',');
  command->add_option("--seconds", options->seconds, "Of each measurement")
      ->check(number_in(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--json", options->json, "Write the results to this file, too")->check(file_name());
  command->add_flag("--profile", options->profile, "Time, GFLOP/s and share of the peak by operator");
  command->callback([&app, &settings, &action, command, options] {
    action = [&app, &settings, command, options] {
      refuse_what_changes_nothing(app);
      if (app.count("--batch") > 0 && command->count("--batch") == 0) options->batches = {settings.batch};
      return run_bench(settings, *options);
    };
  });
}

}  // namespace cli

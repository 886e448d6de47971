// bench_server MODEL.gguf PRECISION THREADS ISA: a loaded model that does what it is told, a line at a time, so that
// compare.py can run it in turn with its peers.  Answers are one line each; a failure is a line that starts with
// "error".  A path is the rest of its line, blanks and all.
//   pixels N FILE          float32 [N, 3, S, S] to embed from now on
//   texts FILE             a text a line
//   files FOLDER           pictures to read, decode and embed
//   run KIND N CALLS       milliseconds of each call of the first N items; KIND: image, text,
//                         unshared (texts without sharing prefixes), file, decode (and resize: all but the model)
//   embed KIND N OUT       milliseconds of one call, and float32 [N, embed_dim] to a file
//   peak                   GFLOP/s of products on registers alone, in the model's precision
//   memory                 MB of anonymous memory now, and the highest resident size
#include <clipon/clipon.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "arguments.hpp"
#include "measure.hpp"
#include "peak.hpp"

namespace {

using clipon::Matrix;

class Server {
 public:
  Server(const std::string& path, const clipon::LoadOptions& options) : model_(clipon::Model::load(path, options)) {}

  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::string kind;
    words >> command;
    if (command == "pixels") return read_pixels(words);
    if (command == "texts") return read_texts(words);
    if (command == "files") return list_files(words);
    if (command == "peak") {
      const auto type = clipon::kernels::product_type(model_.precision());
      return std::to_string(bench::peak_rate(model_.context(), type, 5.0, kPeakTries) * 1e-9);
    }
    if (command == "memory") {
      return std::to_string(bench::status_megabytes("RssAnon")) + " " +
             std::to_string(bench::status_megabytes("VmHWM"));
    }
    std::size_t n = 0;
    words >> kind >> n;
    if (command == "run") {
      int calls = 0;
      words >> calls;
      std::string milliseconds;
      for (int i = 0; i < calls; ++i) {
        const bench::Stopwatch watch;
        embed(kind, n);
        milliseconds += std::to_string(watch.milliseconds()) + " ";
      }
      return milliseconds;
    }
    if (command == "embed") {
      const std::string out = rest_of(words);
      const bench::Stopwatch watch;
      const Matrix rows = embed(kind, n);
      const std::string milliseconds = std::to_string(watch.milliseconds());
      std::ofstream(out, std::ios::binary)
          .write(reinterpret_cast<const char*>(rows.data()), static_cast<std::streamsize>(rows.size()) * 4);
      return milliseconds;
    }
    throw std::runtime_error("no such command: " + line);
  }

 private:
  static constexpr int kPeakTries = 15;  // threads of a contestant before may still spin on these cores

  static std::string rest_of(std::istream& words) {
    std::string path;
    std::getline(words >> std::ws, path);
    return path;
  }
  std::string read_pixels(std::istream& words) {
    std::size_t n = 0;
    words >> n;
    const std::string path = rest_of(words);
    pixels_.resize(n * picture_floats());
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(pixels_.data()), static_cast<std::streamsize>(pixels_.size() * sizeof(float)));
    if (!file) throw std::runtime_error(path + ": expected " + std::to_string(pixels_.size()) + " floats");
    return "ok";
  }
  std::string read_texts(std::istream& words) {
    const std::string path = rest_of(words);
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + ": cannot be read");
    texts_.clear();
    for (std::string text; std::getline(file, text);) texts_.push_back(text);
    return std::to_string(texts_.size());
  }
  std::string list_files(std::istream& words) {
    files_.clear();
    for (const auto& entry : std::filesystem::directory_iterator(rest_of(words)))
      files_.push_back(entry.path().string());
    return std::to_string(files_.size());
  }

  [[nodiscard]] std::size_t picture_floats() const {
    return static_cast<std::size_t>(model_.image_size() * model_.image_size() * 3);
  }

  template <class T>
  static std::span<const T> first(const std::vector<T>& items, std::size_t n) {
    if (n > items.size()) throw std::runtime_error("expected at most " + std::to_string(items.size()) + " items");
    return {items.data(), n};
  }

  Matrix embed(const std::string& kind, std::size_t n) {
    if (kind == "image") return model_.embed_pixels(first(pixels_, n * picture_floats()), n);
    if (kind == "text") return model_.embed_texts(first(texts_, n));
    if (kind == "unshared") {
      clipon::BatchOptions options;
      options.share_prefixes = false;
      return model_.embed_texts(first(texts_, n), options);
    }
    if (kind == "file") return model_.embed_image_files(first(files_, n));
    const auto files = first(files_, n);
    if (kind == "decode") {  // the first stage of "file" alone: to the model's pixels
      clipon::parallel::parallel_for(model_.context().threads, static_cast<clipon::index_t>(n), [&](clipon::index_t i) {
        (void)model_.preprocess(clipon::Image::read(files[static_cast<std::size_t>(i)]));
      });
      return {};
    }
    throw std::runtime_error("no such kind: " + kind);
  }

  clipon::Model model_;
  std::vector<float> pixels_;
  std::vector<std::string> texts_;
  std::vector<std::string> files_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) return std::fprintf(stderr, "bench_server MODEL.gguf PRECISION THREADS ISA\n"), 2;
  clipon::LoadOptions options;
  options.precision = bench::precision_named(argv[2]);
  options.threads = bench::count_named(argv[3]);
  options.isa = clipon::kernels::parse_isa(argv[4]);
  Server server(argv[1], options);
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << server.answer(line) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_server: %s\n", error.what());
  return 1;
}

// A section of the matrix: cases, what each must come to, the worst that any of them cost.
#pragma once

#include <clipon/clipon.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

namespace trust {

using clipon::ErrorCode;
using Bytes = std::vector<std::byte>;

/// How one case ended.
struct Outcome {
  bool worked = false;
  bool typed = false;  // clipon::Error, of `code`
  ErrorCode code = ErrorCode::io;
  bool out_of_memory = false;
  std::string message;
  double seconds = 0.0;
  std::size_t extra_bytes = 0;  // most memory in use during the case, beyond that before it
};

Outcome run(const std::function<void()>& body);

struct Limits {
  double seconds = 1.0;
  std::size_t extra_bytes = std::size_t{8} << 20;
};

class Section {
 public:
  explicit Section(std::string name) : name_(std::move(name)) {}

  /// body() must work, or throw clipon::Error; always within the limits.
  Outcome any(const std::string& what, const Limits& limits, const std::function<void()>& body);
  /// body() must throw clipon::Error of one of `codes`.
  void refused(const std::string& what, const Limits& limits, std::initializer_list<ErrorCode> codes,
               const std::function<void()>& body);
  /// body() must work.
  void works(const std::string& what, const Limits& limits, const std::function<void()>& body);
  /// A statement that must be true.
  void check(const std::string& what, bool holds);

  /// One line of the table; failures, the first few, come after it.
  [[nodiscard]] std::string line() const;
  [[nodiscard]] bool passed() const { return passed_ == cases_ && cases_ > 0; }
  [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

 private:
  void note(const std::string& what, const Limits& limits, const Outcome& outcome, bool right);

  std::string name_;
  std::uint64_t cases_ = 0;
  std::uint64_t passed_ = 0;
  std::uint64_t refused_ = 0;
  double worst_seconds_ = 0.0;  // of a case that was refused
  std::size_t worst_bytes_ = 0;
  std::vector<std::string> failures_;
};

/// What the run was asked for.
struct Settings {
  bool full = false;       // every case, not the share that fits into CI
  std::string source_dir;  // of the project
  std::string work_dir;    // for files; emptied afterwards
};

/// The default options, and a number of threads.
inline clipon::LoadOptions with_threads(int count) {
  clipon::LoadOptions options;
  options.threads = count;
  return options;
}

/// A model and inputs whose embeddings must come out the same, bit for bit, whatever happened before.
class Probe {
 public:
  explicit Probe(const Bytes& model, int threads = 1);
  [[nodiscard]] bool unchanged() const;
  [[nodiscard]] const clipon::Model& model() const { return model_; }
  [[nodiscard]] const std::vector<clipon::Image>& images() const { return images_; }
  [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }
  [[nodiscard]] const clipon::Matrix& image_rows() const { return image_rows_; }
  [[nodiscard]] const clipon::Matrix& text_rows() const { return text_rows_; }

 private:
  clipon::Model model_;
  std::vector<clipon::Image> images_;
  std::vector<std::string> texts_;
  clipon::Matrix image_rows_;
  clipon::Matrix text_rows_;
};

void check_model_files(const Settings& settings, std::vector<Section>& table);
void check_pictures(const Settings& settings, std::vector<Section>& table);
void check_texts(const Settings& settings, std::vector<Section>& table);
void check_runtime(const Settings& settings, std::vector<Section>& table);
void check_failures(const Settings& settings, std::vector<Section>& table);  // part of check_runtime

}  // namespace trust

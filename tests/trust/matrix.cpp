#include "matrix.hpp"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "memory.hpp"

namespace trust {

namespace {
// Limits of time are those of an ordinary build; the presets that watch without their own allocator (ubsan, coverage)
// define CLIPON_INSTRUMENTED.
#if defined(CLIPON_INSTRUMENTED)
constexpr double kSlowdown = 8.0;
#else
constexpr double kSlowdown = 1.0;
#endif

// Of all threads: what else the machine does has no part in it.  (Who waits for ever is ended by ctest.)
double cpu_seconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
}  // namespace

Outcome run(const std::function<void()>& body) {
  Outcome outcome;
  memory::reset_peak();
  const std::size_t before = memory::in_use();
  const double start = cpu_seconds();
  try {
    body();
    outcome.worked = true;
  } catch (const clipon::Error& error) {
    outcome.typed = true;
    outcome.code = error.code();
    outcome.message = error.what();
  } catch (const std::bad_alloc&) {
    outcome.out_of_memory = true;
    outcome.message = "std::bad_alloc";
  } catch (const std::exception& error) {
    outcome.message = std::string("an exception of another type: ") + error.what();
  } catch (...) {
    outcome.message = "an exception of another type";
  }
  outcome.seconds = cpu_seconds() - start;
  outcome.extra_bytes = memory::peak() - std::min(before, memory::peak());
  return outcome;
}

namespace {
// run, whose time is the least of up to three where the first took too long: on a core whose other half another machine
// uses, the same work takes up to half as long again.  Everything else is what the first run did.
Outcome run_within(const Limits& limits, const std::function<void()>& body) {
  Outcome outcome = run(body);
  for (int again = 0; again < 2 && outcome.seconds > kSlowdown * limits.seconds; ++again) {
    outcome.seconds = std::min(outcome.seconds, run(body).seconds);
  }
  return outcome;
}
}  // namespace

void Section::note(const std::string& what, const Limits& limits, const Outcome& outcome, bool right) {
  ++cases_;
  std::string why;
  if (!right) why = outcome.worked ? "it worked" : outcome.message;
  if (outcome.typed) {
    ++refused_;
    worst_seconds_ = std::max(worst_seconds_, outcome.seconds);
    if (outcome.message.empty() || outcome.message.find('\n') != std::string::npos) why = "its message is not one line";
  }
  worst_bytes_ = std::max(worst_bytes_, outcome.extra_bytes);
  // a sanitizer takes its own time and memory
  if (memory::counts() && outcome.seconds > kSlowdown * limits.seconds)
    why = "it took " + std::to_string(outcome.seconds) + " s";
  if (memory::counts() && outcome.extra_bytes > limits.extra_bytes) {
    why = "it took " + std::to_string(outcome.extra_bytes) + " bytes";
  }
  if (why.empty()) {
    ++passed_;
  } else if (failures_.size() < 20) {
    failures_.push_back(what + ": " + why);
  }
}

Outcome Section::any(const std::string& what, const Limits& limits, const std::function<void()>& body) {
  const Outcome outcome = run_within(limits, body);
  note(what, limits, outcome, outcome.worked || outcome.typed);
  return outcome;
}

void Section::refused(const std::string& what, const Limits& limits, std::initializer_list<ErrorCode> codes,
                      const std::function<void()>& body) {
  const Outcome outcome = run_within(limits, body);
  note(what, limits, outcome, outcome.typed && std::find(codes.begin(), codes.end(), outcome.code) != codes.end());
}

void Section::works(const std::string& what, const Limits& limits, const std::function<void()>& body) {
  const Outcome outcome = run_within(limits, body);
  note(what, limits, outcome, outcome.worked);
}

void Section::check(const std::string& what, bool holds) {
  Outcome outcome;
  outcome.message = "it does not hold";
  note(what, {}, outcome, holds);
}

std::string Section::line() const {
  char text[200];
  std::snprintf(
      text, sizeof text, "%-34s %8llu / %-8llu refused %8llu   worst refusal %9.3f ms   worst memory %8.2f MB",
      name_.c_str(), static_cast<unsigned long long>(passed_), static_cast<unsigned long long>(cases_),
      static_cast<unsigned long long>(refused_), worst_seconds_ * 1e3, static_cast<double>(worst_bytes_) / 1e6);
  return text;
}

Probe::Probe(const Bytes& model, int threads)
    : model_(clipon::Model::load_from_memory(model, with_threads(threads))),
      texts_({"a", "cat", "a cat", "the dog", "do a t", "", "cat cat", "th"}) {
  for (int i = 0; i < 8; ++i) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * (5 + i) * (13 - i)));
    for (std::size_t p = 0; p < pixels.size(); ++p)
      pixels[p] = static_cast<std::uint8_t>((p * 37 + static_cast<std::size_t>(i) * 101) % 256);
    images_.push_back(clipon::Image::from_rgb(pixels.data(), 5 + i, 13 - i));
  }
  image_rows_ = model_.embed_images(images_);
  text_rows_ = model_.embed_texts(texts_);
}

bool Probe::unchanged() const {
  return model_.embed_images(images_) == image_rows_ && model_.embed_texts(texts_) == text_rows_;
}

}  // namespace trust

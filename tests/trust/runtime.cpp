// Hostile circumstances: threads, forks, a caller's floating-point state, long runs; failures.cpp has the allocations
// and reads that fail.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "memory.hpp"
#include "picture_files.hpp"
#include "tiny_model.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace trust {

namespace {

using clipon::BatchOptions;
using clipon::Image;
using clipon::ItemStatus;
using clipon::LoadOptions;
using clipon::Matrix;
using clipon::Model;
using support::tiny_model;
using support::TinyShape;

TinyShape other_shape() {
  TinyShape shape;
  shape.width = 48;
  shape.heads = 3;
  shape.feed_forward = 100;
  shape.layers = 2;
  return shape;
}

void check_threads(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: 16 threads, two models");
  const Probe small(tiny_model().bytes(), 2);
  const Probe large(tiny_model(other_shape()).bytes(), 1);
  const int calls = settings.full ? 1000 : 60;
  std::atomic<std::uint64_t> wrong{0};
  {
    std::vector<std::jthread> team;
    for (int t = 0; t < 16; ++t) {
      team.emplace_back([&, t] {
        for (int i = 0; i < calls; ++i) {
          const Probe& probe = (t + i) % 2 == 0 ? small : large;
          const auto k = static_cast<std::size_t>(i + t) % probe.images().size();
          const auto row = static_cast<Eigen::Index>(k);
          bool same = true;
          switch (i % 4) {
            case 0:
              same = probe.model().embed_image(probe.images()[k]).transpose() == probe.image_rows().row(row);
              break;
            case 1:
              same = probe.model().embed_text(probe.texts()[k]).transpose() == probe.text_rows().row(row);
              break;
            case 2:
              same = probe.model().embed_texts(probe.texts()) == probe.text_rows();
              break;
            default:
              try {
                (void)probe.model().embed_text("\xff");
                same = false;
              } catch (const clipon::Error& error) {
                same = error.code() == ErrorCode::invalid_utf8;
              }
          }
          if (!same) ++wrong;
        }
      });
    }
  }
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(16 * calls); ++i)
    section.check("a call's answer", i >= wrong);
  section.check("both probes are unchanged", small.unchanged() && large.unchanged());
}

void check_loading_while_used(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: load and free meanwhile");
  const Bytes bytes = tiny_model().bytes();
  const Probe probe(bytes, 2);
  const int rounds = settings.full ? 1000 : 100;
  std::atomic<bool> stop{false};
  std::jthread user([&] {
    while (!stop) (void)probe.model().embed_texts(probe.texts());
  });
  for (int i = 0; i < rounds; ++i) {
    section.works("round", {}, [&] {
      auto model = std::make_unique<Model>(Model::load_from_memory(bytes, with_threads(2)));
      const Model copy = *model;
      model.reset();  // the copy shares the weights
      if (copy.embed_texts(probe.texts()) != probe.text_rows()) throw std::logic_error("another answer");
    });
  }
  stop = true;
  user.join();
  section.check("the probe is unchanged", probe.unchanged());
}

void check_forks(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: fork after a parallel call");
  const Probe probe(tiny_model().bytes(), 4);
  section.check("the parent has threads", probe.unchanged());
  // A thread that is being born may hold a lock of AddressSanitizer's, which the child would wait for.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const int forks = settings.full ? 100 : 20;
  for (int i = 0; i < forks; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(5);  // SIGALRM ends a child that hangs
      const bool right = probe.unchanged() && Probe(tiny_model().bytes(), 4).unchanged();
      ::_exit(right ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    section.check("a child's answers", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    section.check("the parent's answers", probe.unchanged());
  }
}

// Locks that a thread of the parent holds at that moment stay locked in the child.
void check_forks_meanwhile(const Settings& settings, std::vector<Section>& table) {
  if (!memory::counts()) return;  // under a sanitizer, whose own locks are such
  Section& section = table.emplace_back("runtime: fork while threads embed");
  const Bytes bytes = tiny_model().bytes();
  std::atomic<bool> stop{false};
  const int forks = settings.full ? 5000 : 400;
  for (const int count : {1, 2}) {
    const Probe probe(bytes, count);
    stop = false;
    std::vector<std::jthread> users;
    for (int t = 0; t < 4; ++t) {
      users.emplace_back([&] {
        while (!stop) (void)probe.model().embed_text("a");
      });
    }
    for (int i = 0; i < forks; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::alarm(5);
        ::_exit(probe.unchanged() ? 0 : 1);
      }
      int status = -1;
      ::waitpid(child, &status, 0);
      section.check("a child's answers", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = true;
  }
}

#if defined(__x86_64__)
void check_floating_point(std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: the caller's MXCSR");
  const Bytes bytes = tiny_model().bytes();
  const unsigned before = _mm_getcsr();
  for (const int count : {1, 3}) {
    const Probe probe(bytes, count);
    // rounding down, up, to zero; flush to zero, denormals are zero; all traps on; status flags set
    for (const unsigned csr :
         {0x1f80u, 0x3f80u, 0x5f80u, 0x7f80u, 0x9f80u, 0x1fc0u, 0xffc0u, 0x0000u, 0x6000u, 0x1fbfu}) {
      _mm_setcsr(csr);
      const bool same = probe.unchanged();
      const bool left_alone = _mm_getcsr() == csr;
      bool loads = false;
      try {
        const Model model = Model::load_from_memory(bytes, with_threads(count));
        loads = model.embed_texts(probe.texts()) == probe.text_rows();
        (void)model.embed_text("\xff");
      } catch (const clipon::Error&) {
      }
      const bool after_error = _mm_getcsr() == csr;
      _mm_setcsr(before);
      section.check("answers under MXCSR " + std::to_string(csr), same && loads);
      section.check("MXCSR " + std::to_string(csr) + " after the call", left_alone && after_error);
    }
  }
}
#endif

void check_batches(std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: batches, good and bad items");
  for (const int count : {1, 3}) {
    const Probe probe(tiny_model().bytes(), count);
    const Model& model = probe.model();
    for (const std::size_t n :
         {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{33}, std::size_t{1000}}) {
      std::vector<std::string> texts;
      std::vector<Image> images;
      std::vector<ItemStatus> status;
      for (std::size_t i = 0; i < n; ++i) {
        images.push_back(probe.images()[i % 8]);
        texts.push_back(i % 3 == 1 ? "bad \xff" : probe.texts()[i % 8]);
      }
      BatchOptions options;
      options.status = &status;
      const Matrix rows = model.embed_texts(texts, options);
      const Matrix pictures = model.embed_images(images);
      bool right = status.size() == n && rows.rows() == static_cast<Eigen::Index>(n) && pictures.rows() == rows.rows();
      for (std::size_t i = 0; i < n && right; ++i) {
        const auto row = static_cast<Eigen::Index>(i);
        const auto kind = static_cast<Eigen::Index>(i % 8);
        right = pictures.row(row) == probe.image_rows().row(kind);
        if (i % 3 == 1) {
          right = right && !status[i].ok && status[i].code == ErrorCode::invalid_utf8 && std::isnan(rows(row, 0));
        } else {
          right = right && status[i].ok && rows.row(row) == probe.text_rows().row(kind);
        }
        section.check("item " + std::to_string(i) + " of " + std::to_string(n), right);
      }
      section.check("a batch of " + std::to_string(n), right);
    }
    std::vector<float> pixels(3 * 3 * 8 * 8, 0.5f);
    pixels[200] = std::nanf("");
    std::vector<ItemStatus> status;
    BatchOptions options;
    options.status = &status;
    for (const clipon::Precision precision :
         {clipon::Precision::f32, clipon::Precision::bf16, clipon::Precision::int8}) {
      LoadOptions load = with_threads(count);
      load.precision = precision;
      const Matrix rows = Model::load_from_memory(tiny_model().bytes(), load).embed_pixels(pixels, 3, options);
      section.check("NaN among own pixels", status[0].ok && status[1].code == ErrorCode::not_finite && status[2].ok &&
                                                rows.row(0) == rows.row(2) && std::isnan(rows(1, 0)));
    }
  }
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

void check_long_run(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: 10,000 calls, half of them bad");
  const Bytes bytes = tiny_model().bytes();
  const Probe probe(bytes, 1);
  const std::string picture = png_of_noise(13, 9);
  const std::string path = settings.work_dir + "/no-such-picture.png";
  const auto call = [&](int i) {
    switch (i % 8) {
      case 0:
        return (void)probe.model().embed_image(Image::decode(std::as_bytes(std::span(picture))));
      case 1:
        return (void)probe.model().embed_text("bad \xff");
      case 2:
        return (void)probe.model().embed_text("a cat");
      case 3:
        return (void)Image::decode(
            std::as_bytes(std::span(picture).first(static_cast<std::size_t>(i) % picture.size())));
      case 4:
        return (void)probe.model().zero_shot_classify(probe.images()[0], {"cat", "dog"});
      case 5:
        return (void)Image::read(path);
      case 6:
        return (void)(i % 80 == 6 ? Model::load_from_memory(bytes, with_threads(1)) : probe.model());
      default:
        return (void)Model::load_from_memory(std::span(bytes).first(static_cast<std::size_t>(i) % bytes.size()),
                                             with_threads(1));
    }
  };
  std::size_t in_use = 0;
  std::size_t descriptors = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (i == 100) {
      in_use = memory::in_use();
      descriptors = open_descriptors();
    }
    if (i % 2 == 0) {
      section.works("call " + std::to_string(i), {}, [&] { call(i); });
    } else {
      section.any("call " + std::to_string(i), {}, [&] { call(i); });
    }
  }
  section.check("memory has not grown", !memory::counts() || memory::in_use() <= in_use + 65536);
  section.check("no descriptor is left open", open_descriptors() == descriptors);
  section.check("the probe is unchanged", probe.unchanged());
}

void check_instruction_sets(std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: instruction sets agree");
  for (const bool resnet : {false, true}) {
    TinyShape shape = other_shape();
    shape.resnet = resnet;
    if (resnet) {
      shape.image_size = 64;
      shape.heads = 2;  // of 64 features
    }
    const Bytes bytes = tiny_model(shape).bytes();
    LoadOptions options = with_threads(1);
    options.isa = clipon::Isa::scalar;
    const Probe probe(bytes, 1);
    const Matrix images = Model::load_from_memory(bytes, options).embed_images(probe.images());
    const Matrix texts = Model::load_from_memory(bytes, options).embed_texts(probe.texts());
    for (int i = 0; i <= static_cast<int>(clipon::Isa::best); ++i) {
      options.isa = static_cast<clipon::Isa>(i);
      const auto usable = clipon::kernels::usable_isas();
      if (options.isa != clipon::Isa::best && std::find(usable.begin(), usable.end(), options.isa) == usable.end()) {
        section.refused("an instruction set that is missing", {}, {ErrorCode::unsupported},
                        [&] { (void)Model::load_from_memory(bytes, options); });
        continue;
      }
      const Model model = Model::load_from_memory(bytes, options);
      const Matrix a = model.embed_images(probe.images());
      const Matrix b = model.embed_texts(probe.texts());
      for (Eigen::Index r = 0; r < a.rows(); ++r) {
        section.check("a picture", (a.row(r) - images.row(r)).norm() < 1e-5f);
        section.check("a text", (b.row(r) - texts.row(r)).norm() < 1e-5f);
      }
    }
  }
  for (const int count : {-1, 1025, 2147483647, -2147483647 - 1}) {
    section.refused("threads", {}, {ErrorCode::invalid_argument},
                    [&] { (void)Model::load_from_memory(tiny_model().bytes(), with_threads(count)); });
  }
}

}  // namespace

void check_runtime(const Settings& settings, std::vector<Section>& table) {
  table.reserve(16);
  check_threads(settings, table);
  check_loading_while_used(settings, table);
  check_failures(settings, table);
  check_forks(settings, table);
  check_forks_meanwhile(settings, table);
#if defined(__x86_64__)
  check_floating_point(table);
#endif
  check_batches(table);
  check_long_run(settings, table);
  check_instruction_sets(table);
}

}  // namespace trust

// Allocations and reads that fail, each in turn: std::bad_alloc or a typed error, nothing lost, the next call right.
#include <sys/resource.h>

#include <algorithm>
#include <clipon/search.hpp>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "memory.hpp"
#include "picture_files.hpp"
#include "tiny_model.hpp"

namespace trust {

namespace {

using clipon::Image;
using clipon::LoadOptions;
using clipon::Model;
using support::tiny_model;
using support::TinyShape;

// Each allocation of body() fails in turn: std::bad_alloc, or body copes; nothing is lost, the next call is right.
void check_allocations_of(Section& section, const std::string& what, const Probe& probe,
                          const std::function<void()>& body) {
  body();  // pools are filled
  for (const bool from_then_on : {false, true}) {
    for (std::uint64_t n = 1;; ++n) {
      const std::size_t before = memory::in_use();
      Outcome outcome;
      std::uint64_t asked = 0;
      {
        // the outcome's own strings must not fail
        bool worked = false;
        bool out_of_memory = false;
        bool other = false;
        memory::fail_at(n, from_then_on);
        try {
          body();
          worked = true;
        } catch (const std::bad_alloc&) {
          out_of_memory = true;
        } catch (...) {
          other = true;
        }
        asked = memory::allocations();
        memory::fail_at(0);
        outcome.worked = worked;
        outcome.out_of_memory = out_of_memory;
        (void)other;
      }
      if (asked < n) break;
      const std::string name = what + ": allocation " + std::to_string(n) + (from_then_on ? " and all later ones" : "");
      section.check(name, outcome.worked || outcome.out_of_memory);
      if (outcome.out_of_memory && memory::counts())
        section.check(name + ": nothing is lost", memory::in_use() <= before + 4096);
      if (n % 16 == 0) section.check(name + ": the probe is unchanged", probe.unchanged());
    }
  }
  section.check(what + ": the probe is unchanged", probe.unchanged());
}

void check_allocations(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: each allocation fails");
  TinyShape shape;
  const Bytes bytes = tiny_model(shape).bytes();
  const Probe probe(bytes, 1);
  const Model& model = probe.model();
  const std::string path = settings.work_dir + "/allocations.gguf";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto decode = [](const std::string& file) {
    return [file] { (void)Image::decode(std::as_bytes(std::span(file))); };
  };
  check_allocations_of(section, "PNG", probe, decode(png_of_noise(13, 9)));
  check_allocations_of(section, "palette PNG", probe, decode(png_of_noise(11, 6, 4, 3)));
  check_allocations_of(section, "JPEG", probe, decode(jpeg_of_noise(20, 17, 3, 40)));
  check_allocations_of(section, "BMP", probe, decode(bmp_file(9, 7, 24, 28 * 7)));
  check_allocations_of(section, "embed_image", probe, [&] { (void)model.embed_image(probe.images()[3]); });
  std::optional<clipon::Profile> profile(std::in_place);
  LoadOptions profiled = with_threads(1);
  profiled.profile = &*profile;
  const Model timed = Model::load_from_memory(bytes, profiled);
  check_allocations_of(section, "embed_image, profiled", probe, [&] {
    profile.emplace();  // where it was, and without memory of its own
    (void)timed.embed_image(probe.images()[3]);
  });
  check_allocations_of(section, "embed_images", probe, [&] { (void)model.embed_images(probe.images()); });
  check_allocations_of(section, "embed_text", probe, [&] { (void)model.embed_text("the &amp; cat \xc3\xa9"); });
  check_allocations_of(section, "embed_texts", probe, [&] { (void)model.embed_texts(probe.texts()); });
  check_allocations_of(section, "classify", probe, [&] {
    (void)model.zero_shot_classify(probe.images()[0], {"cat", "dog"});
  });
  check_allocations_of(section, "refusal", probe, [&] {
    try {
      (void)model.embed_text("\xff");
    } catch (const clipon::Error&) {
    }
  });
  // loading asks for several thousand blocks, nearly all for the vocabulary's strings: every one in a full run
  std::uint64_t asked = 0;
  memory::fail_at(0);
  (void)Model::load(path, with_threads(1));
  asked = memory::allocations();
  const std::uint64_t step = settings.full ? 1 : 3;
  for (const bool map : {true, false}) {
    LoadOptions options = with_threads(1);
    options.memory_map = map;
    for (const bool from_then_on : {false, true}) {
      for (std::uint64_t n = 1; n <= asked; n += step) {
        const std::size_t before = memory::in_use();
        bool right = false;
        memory::fail_at(n, from_then_on);
        try {
          (void)Model::load(path, options);
          right = true;
        } catch (const std::bad_alloc&) {
          right = true;
        } catch (...) {
        }
        memory::fail_at(0);
        section.check("load: allocation " + std::to_string(n),
                      right && (!memory::counts() || memory::in_use() <= before + 4096));
      }
    }
  }
  section.check("load: the probe is unchanged", probe.unchanged());
}

// A change that memory runs out in: what was there is there still, and the change can be made again.
void check_changes(std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: memory runs out in a change");
  const Probe probe(tiny_model().bytes(), 1);
  clipon::ClassifyOptions options;
  options.background = {"the"};
  const clipon::Classifier base(probe.model(), std::vector<std::string>{"cat", "dog"}, options);
  const auto same = [](const clipon::Classifier& a, const clipon::Classifier& b) {
    const auto x = a.rank(a.prototypes());
    const auto y = b.rank(b.prototypes());
    return a.labels() == b.labels() && x.index == y.index && x.probability == y.probability;
  };
  const std::pair<const char*, std::function<void(clipon::Classifier&)>> changes[] = {
      {"add_labels", [](clipon::Classifier& c) { c.add_labels({"bird"}); }},
      {"remove_labels", [](clipon::Classifier& c) { c.remove_labels({"cat"}); }}};
  for (const auto& [what, change] : changes) {
    clipon::Classifier changed = base;
    change(changed);
    for (std::uint64_t n = 1;; ++n) {
      clipon::Classifier failed = base;
      bool refused = false;
      memory::fail_at(n);
      try {
        change(failed);
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      const bool last = memory::allocations() < n;
      memory::fail_at(0);
      if (last) break;
      const std::string name = std::string(what) + ": allocation " + std::to_string(n);
      section.check(name, same(failed, refused ? base : changed));
      if (refused) change(failed);
      section.check(name + ": made again", same(failed, changed));
    }
  }
  const clipon::Matrix rows = base.prototypes();
  for (const auto type : {clipon::DataType::f32, clipon::DataType::i8}) {
    clipon::StoredVectors whole(type, rows.cols());
    whole.append(rows);
    for (std::uint64_t n = 1;; ++n) {
      clipon::StoredVectors failed(type, rows.cols());
      memory::fail_at(n);
      try {
        failed.append(rows);
      } catch (const std::bad_alloc&) {
      }
      const bool last = memory::allocations() < n;
      memory::fail_at(0);
      if (last) break;
      failed.append(rows.bottomRows(rows.rows() - failed.view().rows));
      const auto x = failed.view();
      const auto y = whole.view();
      const auto bytes = static_cast<std::size_t>(y.rows * y.width) * size_of(type);
      section.check("append: allocation " + std::to_string(n),
                    x.rows == y.rows && std::memcmp(x.data, y.data, bytes) == 0 &&
                        (x.scale == nullptr || std::equal(x.scale, x.scale + x.rows, y.scale)));
    }
  }
}

void check_reads(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("runtime: reads that fail");
  const Bytes bytes = tiny_model().bytes();
  const Probe probe(bytes, 1);
  const std::string model_path = settings.work_dir + "/reads.gguf";
  std::ofstream(model_path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const std::string picture_path = settings.work_dir + "/reads.png";
  std::ofstream(picture_path, std::ios::binary) << png_of_noise(13, 9);
  LoadOptions options = with_threads(1);
  options.memory_map = false;
  const std::pair<const char*, std::function<void()>> calls[] = {
      {"model", [&] { (void)Model::load(model_path, options); }},
      {"picture", [&] { (void)probe.model().embed_image(Image::read(picture_path)); }}};
  for (const auto& [what, call] : calls) {
    for (const memory::Reading how : {memory::Reading::one_byte, memory::Reading::interrupted}) {
      for (std::uint64_t n = 1; n < 4; ++n) {
        memory::read_as(how, n);
        section.works(std::string(what) + ": short or interrupted", {}, call);
        memory::read_as(memory::Reading::normal);
      }
    }
    memory::read_as(memory::Reading::broken);
    section.refused(std::string(what) + ": EIO", {}, {ErrorCode::io}, call);
    memory::read_as(memory::Reading::normal);
  }
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  rlimit none = limit;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_NOFILE, &none);
  for (const auto& [what, call] : calls)
    section.refused(std::string(what) + ": no descriptor left", {}, {ErrorCode::io}, call);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  section.check("the probe is unchanged", probe.unchanged());
}

}  // namespace

void check_failures(const Settings& settings, std::vector<Section>& table) {
  check_allocations(settings, table);
  check_changes(table);
  check_reads(settings, table);
}

}  // namespace trust

// Model files damaged: cut, overwritten, of another kind, behind a path that is no file.  model_fields.cpp and
// model_contents.cpp have the rest.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model_cases.hpp"

namespace trust {

namespace {

void check_truncation(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("model: cut at every byte");
  for (const bool strict : {true, false}) {
    TinyShape shape;
    shape.strict = strict;
    const ModelFile model = tiny_model(shape);
    const Bytes whole = model.bytes();
    const std::size_t header = model.header().size();
    for (std::size_t n = 0; n < whole.size(); n += n < header + 64 ? 1 : 61) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
      section.refused("first " + std::to_string(n) + " bytes", limits_for(whole), kMalformed,
                      [&] { (void)Model::load_from_memory(cut, with_threads(1)); });
    }
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_bytes(const Settings& settings, std::vector<Section>& table, const Probe& probe) {
  Section& bytes = table.emplace_back("model: header bytes overwritten");
  Section& bits = table.emplace_back("model: header bits flipped");
  const ModelFile model = tiny_model();
  const std::size_t header = model.header().size();
  Bytes file = model.bytes();
  for (std::size_t i = 0; i < header; ++i) {
    const std::byte before = file[i];
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      file[i] = static_cast<std::byte>(value);
      bytes.any("byte " + std::to_string(i) + " = " + std::to_string(value), limits_for(file),
                [&] { load_and_use(file); });
    }
    file[i] = before;
  }
  const std::size_t step = settings.full ? 1 : 3;
  for (std::size_t i = 0; i < header * 8; i += step) {
    file[i / 8] ^= std::byte{1} << (i % 8);
    bits.any("bit " + std::to_string(i), limits_for(file), [&] { load_and_use(file); });
    file[i / 8] ^= std::byte{1} << (i % 8);
  }
  bits.check("the probe is unchanged", probe.unchanged());
}

void check_start(std::vector<Section>& table) {
  Section& section = table.emplace_back("model: magic, version, kind of file");
  const ModelFile good = tiny_model();
  for (const char* magic : {"GGML", "gguf", "FUGG", "PK\3\4", "\x89PNG", "GGU"}) {
    ModelFile wrong = good;
    wrong.magic = magic;
    section.refused(magic, {}, {ErrorCode::bad_magic}, [&] { load_and_use(wrong.bytes()); });
  }
  for (const std::uint32_t version : {0u, 1u, 2u, 4u, 0xffffffffu, 0x03000000u}) {
    ModelFile wrong = good;
    wrong.version = version;
    section.refused("version", {}, {ErrorCode::bad_version}, [&] { load_and_use(wrong.bytes()); });
  }
  for (std::size_t n = 0; n < 4; ++n) {
    section.refused("a few bytes", {}, {ErrorCode::bad_magic}, [&] { load_and_use(Bytes(n, std::byte{'G'})); });
  }
}

void check_paths(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("model: what a path may lead to");
  const std::string fifo = settings.work_dir + "/fifo";
  (void)::mkfifo(fifo.c_str(), 0600);
  const std::string loop = settings.work_dir + "/loop";
  (void)::symlink(loop.c_str(), loop.c_str());
  const std::string sparse = settings.work_dir + "/sparse";
  std::ofstream(sparse) << "GGUF";
  std::filesystem::resize_file(sparse, std::uintmax_t{1} << 40);
  for (const bool map : {true, false}) {
    LoadOptions options = with_threads(1);
    options.memory_map = map;
    for (const std::string& path :
         {fifo, loop, settings.work_dir, std::string("/dev/zero"), std::string("/dev/null"),
          std::string("/no/such/file"), std::string(), std::string("a\0b", 3), std::string(5000, 'x')}) {
      section.refused(path.substr(0, 40), {0.05, 1 << 20}, {ErrorCode::io}, [&] { (void)Model::load(path, options); });
    }
    section.refused("1 TB of nothing", {0.05, 1 << 20}, {ErrorCode::limit_exceeded},
                    [&] { (void)Model::load(sparse, options); });
    const std::string good = settings.work_dir + "/good.gguf";
    const Bytes bytes = tiny_model().bytes();
    std::ofstream(good, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    section.works("a regular file", {}, [&] { (void)Model::load(good, options); });
  }
}

}  // namespace

void check_model_files(const Settings& settings, std::vector<Section>& table) {
  table.reserve(32);
  const Probe probe(tiny_model().bytes());
  check_truncation(table, probe);
  check_bytes(settings, table, probe);
  check_start(table);
  check_paths(settings, table);
  check_model_fields(table, probe);
  check_model_contents(settings, table);
  table.back().check("the probe is unchanged", probe.unchanged());
}

}  // namespace trust

// Hostile model files: what the loader must refuse by name, and what it may accept but must survive.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <unordered_map>

#include "matrix.hpp"
#include "tiny_model.hpp"

namespace trust {

namespace {

using clipon::LoadOptions;
using clipon::Model;
using support::ModelFile;
using support::raw;
using support::tiny_model;
using support::TinyShape;

LoadOptions serial() {
  LoadOptions options;
  options.threads = 1;
  return options;
}

// A model that loads must also compute: an embedding, or a typed error.
void load_and_use(const Bytes& file, LoadOptions options = serial()) {
  const Model model = Model::load_from_memory(file, options);
  const std::uint8_t pixels[12] = {0, 255, 3, 9, 100, 7, 50, 60, 70, 1, 2, 3};
  const clipon::Vector image = model.embed_image(clipon::Image::from_rgb(pixels, 2, 2));
  const clipon::Vector text = model.embed_text("a cat");
  for (const clipon::Vector& v : {image, text}) {
    for (Eigen::Index i = 0; i < v.size(); ++i) {
      if (!clipon::is_finite(double{v[i]})) throw std::logic_error("an embedding with NaN or infinity");
    }
  }
}

// A rejected file costs no more than a few times itself; what loads costs packed weights and the tokenizer.
Limits limits_for(const Bytes& file) {
  return {1.0, 4 * file.size() + (std::size_t{4} << 20)};
}

const std::initializer_list<ErrorCode> kMalformed = {
    ErrorCode::truncated,   ErrorCode::bad_magic,  ErrorCode::bad_offset, ErrorCode::limit_exceeded,
    ErrorCode::bad_value,   ErrorCode::bad_type,   ErrorCode::bad_shape,  ErrorCode::duplicate,
    ErrorCode::missing_key, ErrorCode::bad_version};

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
                      [&] { (void)Model::load_from_memory(cut, serial()); });
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
    LoadOptions options = serial();
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

void check_counts(std::vector<Section>& table) {
  Section& section = table.emplace_back("model: counts and lengths that lie");
  const ModelFile good = tiny_model();
  const std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t count :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{46}, std::uint64_t{1000}, std::uint64_t{8192},
        std::uint64_t{1} << 31, std::uint64_t{1} << 32, max / 2, max / 2 + 1, max}) {
    const std::string what = std::to_string(count);
    ModelFile wrong = good;
    wrong.tensor_count = count;
    section.refused("tensors: " + what, {0.01, 1 << 20}, kMalformed, [&] { load_and_use(wrong.bytes()); });
    wrong = good;
    wrong.key_count = count;
    section.refused("keys: " + what, {0.01, 1 << 20}, kMalformed, [&] { load_and_use(wrong.bytes()); });
    for (const char* key : {"general.name", "clip.vision.image_mean", "tokenizer.ggml.tokens", "clipon.crc32c"}) {
      wrong = good;
      auto& value = wrong.key_named(key).value;
      const std::size_t at = std::string(key) == "general.name" ? 0 : 4;
      std::memcpy(value.data() + at, &count, sizeof count);
      section.refused(std::string(key) + ": " + what, {0.01, 1 << 20}, kMalformed,
                      [&] { load_and_use(wrong.bytes()); });
    }
    std::string bytes = good.header();
    std::memcpy(bytes.data() + 24, &count, sizeof count);  // the first key's name
    section.refused("name: " + what, {0.01, 1 << 20}, kMalformed, [&] {
      Bytes file(bytes.size());
      std::memcpy(file.data(), bytes.data(), bytes.size());
      load_and_use(file);
    });
  }
}

void check_keys(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("model: each key wrong");
  for (const bool resnet : {false, true}) {
    TinyShape shape;
    shape.resnet = resnet;
    if (resnet) shape.image_size = 32;
    const ModelFile good = tiny_model(shape);
    const Limits limits = limits_for(good.bytes());
    for (std::size_t k = 0; k < good.keys.size(); ++k) {
      const std::string& name = good.keys[k].name;
      const auto with = [&](const auto& change) {
        ModelFile wrong = good;
        change(wrong.keys[k], wrong);
        return wrong.bytes();
      };
      const auto any = [&](const std::string& what, const Bytes& file) {
        section.any(name + ": " + what, limits, [&] { load_and_use(file); });
      };
      const bool optional = name == "general.name" || name == "general.file_type" || name == "clipon.logit_bias" ||
                            name == "clip.use_gelu" || name == "clip.vision.embedding_length";
      const Bytes missing =
          with([&](auto&, ModelFile& f) { f.keys.erase(f.keys.begin() + static_cast<std::ptrdiff_t>(k)); });
      if (optional) {
        any("missing", missing);
      } else {
        section.refused(name + ": missing", limits, {ErrorCode::missing_key}, [&] { load_and_use(missing); });
      }
      section.refused(name + ": twice", limits, {ErrorCode::duplicate},
                      [&] { load_and_use(with([&](auto& key, ModelFile& f) { f.keys.push_back(key); })); });
      section.refused(name + ": no name", limits, {ErrorCode::bad_value},
                      [&] { load_and_use(with([](auto& key, auto&) { key.name.clear(); })); });
      for (std::uint32_t type = 0; type <= 13; ++type) {  // the same bytes under another type
        any("type " + std::to_string(type), with([&](auto& key, auto&) { key.type = type; }));
      }
      const std::string zeros(16, '\0');
      for (std::uint32_t type = 0; type <= 12; ++type) {  // another type, well-formed
        if (type == good.keys[k].type) continue;
        constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
        const Bytes file = with([&](auto& key, auto&) { key.type = type, key.value = zeros.substr(0, sizes[type]); });
        const bool unsigned_type = type == 0 || type == 2 || type == 4 || type == 10;  // any width will do
        const bool real_type = type == 6 || type == 12;
        const bool same_kind =
            (good.keys[k].type == support::kU32 && unsigned_type) || (good.keys[k].type == support::kF32 && real_type);
        if (optional || same_kind) {
          any("another type", file);
        } else {
          section.refused(name + ": another type", limits,
                          {ErrorCode::bad_type, ErrorCode::bad_value, ErrorCode::bad_shape},
                          [&] { load_and_use(file); });
        }
      }
      for (const std::uint32_t value : {0u, 1u, 3u, 7u, 4097u, 65536u, 0x7fffffffu, 0xffffffffu}) {
        if (good.keys[k].type == support::kU32) any("number", with([&](auto& key, auto&) { key.value = raw(value); }));
      }
      for (const float value : {0.0f, -1.0f, 1e30f, -1e30f, std::nanf(""), INFINITY, -INFINITY, 1e-40f}) {
        if (good.keys[k].type != support::kF32) continue;
        const Bytes file = with([&](auto& key, auto&) { key.value = raw(value); });
        if (std::isfinite(value)) {
          any("number", file);
        } else {
          section.refused(name + ": not finite", limits, {ErrorCode::bad_value}, [&] { load_and_use(file); });
        }
      }
      for (const char* value : {"", "x", "vit", "modified_resnet", "a\nb\x1b[31m", "\xff\xfe"}) {
        if (good.keys[k].type == support::kString)
          any("text", with([&](auto& key, auto&) { key.value = support::sized(value); }));
      }
      if (good.keys[k].type != support::kArray) continue;
      for (std::uint32_t element = 0; element <= 13; ++element) {
        any("elements", with([&](auto& key, auto&) { std::memcpy(key.value.data(), &element, sizeof element); }));
      }
      for (const std::size_t n : {0u, 1u, 2u, 4u}) {
        any("length", with([&](auto& key, auto&) {
              key.value = key.value.substr(0, 4) + raw(std::uint64_t{n}) + std::string(8 * n, '\0');
            }));
      }
    }
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_tensors(std::vector<Section>& table, const Probe& probe) {
  Section& section = table.emplace_back("model: each tensor wrong");
  const ModelFile good = tiny_model();
  const Limits limits = limits_for(good.bytes());
  const auto refuse = [&](const std::string& what, std::initializer_list<ErrorCode> codes, const ModelFile& wrong) {
    const Bytes file = wrong.bytes();
    section.refused(what, limits, codes, [&] { load_and_use(file); });
  };
  for (std::size_t t = 0; t < good.tensors.size(); ++t) {
    const std::string& name = good.tensors[t].name;
    ModelFile wrong = good;
    wrong.tensors.erase(wrong.tensors.begin() + static_cast<std::ptrdiff_t>(t));
    wrong.seal();
    refuse(name + ": missing", {ErrorCode::missing_key}, wrong);
    wrong = good;
    wrong.tensors.push_back(wrong.tensors[t]);
    refuse(name + ": twice", {ErrorCode::duplicate}, wrong.seal());
    wrong = good;
    wrong.tensors.push_back(wrong.tensors[t]);
    wrong.tensors.back().name += "x";
    refuse(name + ": an extra one", {ErrorCode::bad_value}, wrong.seal());
    for (std::size_t d = 0; d < good.tensors[t].shape.size(); ++d) {
      const std::uint64_t extent = good.tensors[t].shape[d];
      for (const std::uint64_t other : {std::uint64_t{0}, extent - 1, extent + 1, extent * 2, std::uint64_t{1} << 31,
                                        std::uint64_t{1} << 32, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        wrong = good;
        wrong.tensors[t].shape[d] = other;
        refuse(name + ": dimension " + std::to_string(other),
               {ErrorCode::bad_shape, ErrorCode::bad_offset, ErrorCode::truncated}, wrong);
      }
    }
    for (const std::vector<std::uint64_t>& shape : {std::vector<std::uint64_t>{1ull << 31, 1ull << 31, 4},
                                                    {1ull << 31, 1ull << 31, 1ull << 31, 1ull << 31},
                                                    {1ull << 30, 1ull << 30, 16},
                                                    {1},
                                                    {1, 1, 1, 1}}) {  // products of 0 or little modulo 2^64
      wrong = good;
      wrong.tensors[t].shape = shape;
      refuse(name + ": product", {ErrorCode::bad_shape, ErrorCode::bad_offset, ErrorCode::truncated}, wrong);
    }
    for (const std::uint32_t dimensions : {0u, 5u, 0xffffffffu}) {
      wrong = good;
      wrong.tensors[t].dimensions = dimensions;
      refuse(name + ": dimensions", {ErrorCode::bad_shape}, wrong);
    }
    if (good.tensors[t].shape.size() > 1) {
      wrong = good;
      std::reverse(wrong.tensors[t].shape.begin(), wrong.tensors[t].shape.end());
      if (wrong.tensors[t].shape != good.tensors[t].shape) refuse(name + ": transposed", {ErrorCode::bad_shape}, wrong);
    }
    for (const std::uint32_t type : {2u, 3u, 4u, 5u, 8u, 16u, 25u, 28u, 31u, 100u, 0xffffffffu, 1u, 24u, 30u}) {
      wrong = good;
      wrong.tensors[t].type = type;
      refuse(name + ": type " + std::to_string(type),
             {ErrorCode::bad_type, ErrorCode::bad_offset, ErrorCode::bad_shape, ErrorCode::missing_key}, wrong);
    }
  }
  section.check("the probe is unchanged", probe.unchanged());
}

void check_offsets(std::vector<Section>& table) {
  Section& section = table.emplace_back("model: offsets, alignment, tails");
  for (const bool strict : {true, false}) {
    TinyShape shape;
    shape.strict = strict;
    const ModelFile good = tiny_model(shape);
    const Limits limits = limits_for(good.bytes());
    std::uint64_t offset = 0;
    for (std::size_t t = 0; t < good.tensors.size(); ++t) {
      const std::uint64_t size = good.tensors[t].data.size();
      for (const std::uint64_t wrong_offset :
           {offset + 1, offset - 1, offset + 32, offset - 32, std::uint64_t{0}, std::uint64_t{1} << 62,
            ~std::uint64_t{0} - 31, ~std::uint64_t{0}, std::uint64_t{1} << 20, offset + 8}) {
        if (wrong_offset == offset) continue;
        ModelFile wrong = good;
        wrong.tensors[t].offset = wrong_offset;
        const Bytes file = wrong.bytes();
        if (strict) {
          section.refused(good.tensors[t].name + ": offset", limits, {ErrorCode::bad_offset},
                          [&] { load_and_use(file); });
        } else {  // holes are allowed there
          section.any(good.tensors[t].name + ": offset", limits, [&] { load_and_use(file); });
        }
      }
      offset = ModelFile::padded(offset + size);
    }
    for (const std::uint32_t alignment : {0u, 1u, 3u, 4u, 8u, 16u, 64u, 4096u, 0x80000000u, 0xffffffffu}) {
      ModelFile wrong = good;
      wrong.u32("general.alignment", alignment);
      const Bytes file = wrong.bytes();
      if (strict) {
        section.refused("alignment", limits, {ErrorCode::bad_value}, [&] { load_and_use(file); });
      } else {
        section.any("alignment", limits, [&] { load_and_use(file); });
      }
    }
  }
  const ModelFile good = tiny_model();
  for (const std::string& tail : {std::string(1, '\0'), std::string(32, '\0'), std::string(1 << 20, 'x'),
                                  std::string("PK\5\6").append(18, '\0'), std::string("\x89PNG\r\n\x1a\n")}) {
    ModelFile wrong = good;
    wrong.tail = tail;
    section.refused("a tail", limits_for(wrong.bytes()), {ErrorCode::bad_offset}, [&] { load_and_use(wrong.bytes()); });
  }
  const std::size_t header = good.header().size();
  for (std::size_t t = 0; t < good.tensors.size(); ++t) {  // padding that is not zero
    std::uint64_t end = header;
    for (std::size_t i = 0; i < t; ++i) end += ModelFile::padded(good.tensors[i].data.size());
    end += good.tensors[t].data.size();
    if (end % 32 == 0) continue;
    Bytes file = good.bytes();
    file[end] = std::byte{1};
    section.refused("padding", limits_for(file), {ErrorCode::bad_offset}, [&] { load_and_use(file); });
  }
  Bytes file = good.bytes();
  if (good.header()[header - 1] == '\0') {
    file[header - 1] = std::byte{1};
    section.any("the header's padding", limits_for(file), [&] { load_and_use(file); });
  }
  Bytes shifted(good.bytes().size() + 1);  // a file at an odd address
  const Bytes whole = good.bytes();
  std::memcpy(shifted.data() + 1, whole.data(), whole.size());
  section.works("at an odd address", {},
                [&] { (void)Model::load_from_memory(std::span(shifted).subspan(1), serial()).embed_text("a"); });
}

void check_weights(const Settings& settings, std::vector<Section>& table) {
  Section& section = table.emplace_back("model: weights that are no numbers");
  Section& flips = table.emplace_back("model: a bit of a weight flipped");
  for (const std::uint32_t type :
       {support::kTensorF32, support::kTensorF16, support::kTensorBf16, support::kTensorI8}) {
    TinyShape shape;
    shape.type = type;
    const ModelFile good = tiny_model(shape);
    for (std::size_t t = 0; t < good.tensors.size(); ++t) {
      const std::uint32_t stored = good.tensors[t].type;
      if (stored == support::kTensorI8) continue;
      for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(bad);
        const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
        const bool nan = std::isnan(bad);
        const std::uint16_t half = static_cast<std::uint16_t>(sign | 0x7c00u | (nan ? 0x200u : 0u));
        const std::string value = stored == support::kTensorF32   ? raw(bits)
                                  : stored == support::kTensorF16 ? raw(half)
                                                                  : raw(static_cast<std::uint16_t>(bits >> 16));
        ModelFile wrong = good;
        wrong.tensors[t].data.replace(value.size() * (wrong.tensors[t].data.size() / value.size() / 2), value.size(),
                                      value);
        const Bytes file = wrong.seal().bytes();
        section.refused(good.tensors[t].name + ": not finite", limits_for(file), {ErrorCode::not_finite},
                        [&] { load_and_use(file); });
        LoadOptions allow = serial();
        allow.allow_non_finite = true;
        section.any(good.tensors[t].name + ": allowed", limits_for(file), [&] { load_and_use(file, allow); });
      }
    }
  }
  TinyShape q8;
  q8.strict = false;
  q8.type = support::kTensorQ8;
  q8.width = 32;
  q8.feed_forward = 64;
  ModelFile wrong = tiny_model(q8);
  section.works("q8_0", {}, [&] { load_and_use(wrong.bytes()); });
  for (support::Tensor& tensor : wrong.tensors) {
    if (tensor.type != support::kTensorQ8) continue;
    const std::string before = tensor.data;
    tensor.data.replace(34, 2, raw(std::uint16_t{0x7e00}));
    section.refused(tensor.name + ": a NaN scale", {}, {ErrorCode::not_finite}, [&] { load_and_use(wrong.bytes()); });
    tensor.data = before;
  }
  for (const float value : {0.0f, 1e-40f, 1e38f, 65504.0f, -1e20f}) {  // all weights the same: no direction, or one
    ModelFile flat = tiny_model();
    for (support::Tensor& tensor : flat.tensors) {
      for (std::size_t i = 0; i < tensor.data.size(); i += 4) tensor.data.replace(i, 4, raw(value));
    }
    const Bytes file = flat.seal().bytes();
    section.any("all weights " + std::to_string(value), limits_for(file), [&] { load_and_use(file); });
  }
  const ModelFile good = tiny_model();
  const std::size_t header = good.header().size();
  Bytes file = good.bytes();
  std::mt19937 random(1);
  const int count = settings.full ? 10000 : 1000;
  for (int i = 0; i < count; ++i) {
    const std::size_t bit = header * 8 + random() % ((file.size() - header) * 8);
    file[bit / 8] ^= std::byte{1} << (bit % 8);
    flips.refused("bit " + std::to_string(bit), limits_for(file), {ErrorCode::checksum_mismatch, ErrorCode::bad_offset},
                  [&] { load_and_use(file); });  // bad_offset: it hit the padding
    file[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

// Another vocabulary for a model of width 1, with the ids of start and end and the table of embeddings that it needs.
void set_tokens(ModelFile& file, const std::vector<std::string>& tokens) {
  file.key_named("tokenizer.ggml.tokens").value = ModelFile().strings("", tokens).keys[0].value;
  const auto end = static_cast<std::uint32_t>(tokens.size() - 1);
  file.key_named("clipon.tokenizer.start_token_id").value = raw(end - 1);
  file.key_named("clipon.tokenizer.end_token_id").value = raw(end);
  support::Tensor& table = file.tensor_named("t.token_embd.weight");
  table.shape[0] = tokens.size();
  table.data.resize(4 * tokens.size(), '\0');
}

// 100,000 merges whose pairs of ids are one number modulo the size that libstdc++ gives a table of them: a table hashed
// by std::hash walks a chain of 100,000 for each.
Bytes colliding_merges() {
  constexpr std::uint64_t count = 100'000;
  std::unordered_map<std::uint64_t, int> table;
  table.reserve(count);
  const std::uint64_t prime = table.bucket_count();
  std::vector<std::string> tokens = support::tiny_tokens();
  tokens.resize(512);
  const std::uint64_t first_left = tokens.size();
  for (std::uint64_t i = 0; i < count; ++i) tokens.push_back("L" + std::to_string(i));
  const std::uint64_t first_right = tokens.size();
  for (std::uint64_t i = 0; i < prime; ++i) tokens.push_back("R" + std::to_string(i));
  std::vector<std::string> merges;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t left = ((first_left + i) << 32) % prime;
    const std::uint64_t right = (2 * prime - left - first_right % prime) % prime;  // (left << 32 | id) % prime == 0
    const std::string l = "L" + std::to_string(i);
    const std::string r = "R" + std::to_string(right);
    merges.push_back(l + " " + r);
    tokens.push_back(l + r);
  }
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  TinyShape shape;
  shape.width = shape.heads = shape.feed_forward = 1;
  ModelFile file = tiny_model(shape);
  file.key_named("clipon.tokenizer.merges").value = ModelFile().strings("", merges).keys[0].value;
  set_tokens(file, tokens);
  return file.seal().bytes();
}

void check_vocabularies(std::vector<Section>& table) {
  Section& section = table.emplace_back("model: vocabularies");
  const ModelFile good = tiny_model();
  const Limits limits = {2.0, std::size_t{64} << 20};
  const auto merges = [&](const std::vector<std::string>& list) {
    ModelFile file = good;
    file.key_named("clipon.tokenizer.merges").value = ModelFile().strings("", list).keys[0].value;
    return file.bytes();
  };
  const auto tokens = [&](std::vector<std::string> list) {
    ModelFile file = good;
    file.key_named("tokenizer.ggml.tokens").value = ModelFile().strings("", list).keys[0].value;
    return file.bytes();
  };
  for (const auto& list : std::vector<std::vector<std::string>>{
           {"a"}, {""}, {" "}, {"a b c"}, {"zz y"}, {"a zz"}, {"\xff \xfe"}, {std::string("a\0 b", 4)}}) {
    section.refused("a merge that is none", limits, {ErrorCode::bad_value}, [&] { load_and_use(merges(list)); });
  }
  section.works("no merges", limits, [&] { load_and_use(merges({})); });
  section.works("a merge twice", limits, [&] { load_and_use(merges({"a t</w>", "a t</w>"})); });
  section.works("merges in another order", limits, [&] { load_and_use(merges({"th e</w>", "t h", "a t</w>"})); });
  auto list = support::tiny_tokens();
  for (const std::string& token : {std::string("a"), std::string("<|endoftext|>")}) {
    auto twice = list;
    twice[300] = token;
    section.refused("a token twice", limits, {ErrorCode::duplicate, ErrorCode::bad_value},
                    [&] { load_and_use(tokens(twice)); });
  }
  for (const std::string& token :
       {std::string(), std::string("\xff\xfe"), std::string("a\0b", 3), std::string(1 << 20, 'q'), std::string("</w>"),
        std::string("<0x-1>"), std::string("%s%n")}) {
    auto odd = list;
    odd[514] = token;  // a merged token, whose merge then has no result
    section.any("an odd token", limits, [&] { load_and_use(tokens(odd)); });
  }
  auto longer = list;
  longer[514] = std::string((1 << 20) + 1, 'q');
  section.refused("a token of 1 MB and a byte", limits, {ErrorCode::limit_exceeded},
                  [&] { load_and_use(tokens(longer)); });
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{519}, std::size_t{521}}) {
    auto other = list;
    other.resize(size, "extra");
    section.refused("another size", limits, {ErrorCode::bad_shape, ErrorCode::bad_value, ErrorCode::missing_key},
                    [&] { load_and_use(tokens(other)); });
  }
  section.works("merges chosen to collide in a hash table", {2.0, std::size_t{256} << 20},
                [file = colliding_merges()] { load_and_use(file); });
  TinyShape narrow;
  narrow.width = narrow.heads = narrow.feed_forward = 1;
  ModelFile large = tiny_model(narrow);
  while (list.size() < (1u << 20)) list.insert(list.end() - 2, "t" + std::to_string(list.size()));
  set_tokens(large, list);
  section.works("2^20 tokens", {2.0, std::size_t{512} << 20}, [file = large.seal().bytes()] { load_and_use(file); });
}

void check_shapes(std::vector<Section>& table) {
  Section& section = table.emplace_back("model: odd shapes, sound and not");
  std::mt19937 random(7);
  const auto pick = [&](std::initializer_list<std::uint64_t> values) {
    return values.begin()[random() % values.size()];
  };
  for (int i = 0; i < 400; ++i) {
    TinyShape shape;
    shape.heads = pick({1, 2, 3, 5});
    shape.width = shape.heads * pick({1, 2, 3, 7, 8, 16, 17, 33, 64, 80});
    shape.feed_forward = pick({1, 2, 3, 31, 32, 65});
    shape.feed_forward = std::min(shape.feed_forward, 16 * shape.width);
    shape.layers = pick({1, 2, 3});
    shape.patch_size = pick({1, 2, 3, 5, 16});
    shape.image_size = shape.patch_size * pick({1, 2, 3, 7});
    shape.embed_dim = pick({1, 2, 3, 8, 33});
    shape.context = pick({4, 5, 16, 77, 100});
    shape.type = static_cast<std::uint32_t>(
        pick({support::kTensorF32, support::kTensorF16, support::kTensorBf16, support::kTensorI8}));
    shape.resnet = i % 5 == 0;
    if (shape.resnet) {
      shape.stem = pick({2, 4, 6, 10});
      shape.image_size = pick({32, 64, 96});
      shape.heads = pick({1, 2, 4});
      shape.width = shape.heads * pick({1, 3, 8});
      shape.feed_forward = 16;
    }
    const Bytes file = tiny_model(shape).bytes();
    for (const clipon::Precision precision :
         {clipon::Precision::f32, clipon::Precision::bf16, clipon::Precision::int8}) {
      LoadOptions options = serial();
      options.precision = precision;
      section.any("shape " + std::to_string(i), {5.0, 32 * file.size() + (std::size_t{16} << 20)},
                  [&] { load_and_use(file, options); });
    }
  }
  const auto refuse = [&](const char* what, const std::string& key, std::uint32_t value, ErrorCode code) {
    ModelFile wrong = tiny_model();
    wrong.key_named(key).value = raw(value);
    section.refused(what, {0.05, 1 << 20}, {code}, [&] { load_and_use(wrong.bytes()); });
  };
  refuse("patches of one pixel in 1024", "clip.vision.image_size", 1025, ErrorCode::bad_value);
  refuse("a patch that does not divide", "clip.vision.patch_size", 3, ErrorCode::bad_value);
  refuse("no patch", "clip.vision.patch_size", 0, ErrorCode::bad_value);
  refuse("heads that do not divide", "clip.text.attention.head_count", 5, ErrorCode::bad_value);
  refuse("a vast MLP", "clip.text.feed_forward_length", 1 << 18, ErrorCode::bad_value);
  refuse("a vast width", "clip.text.embedding_length", 16384, ErrorCode::bad_shape);
  refuse("256 blocks of one", "clip.text.block_count", 256, ErrorCode::missing_key);
  ModelFile grid = tiny_model();
  grid.key_named("clip.vision.image_size").value = raw(std::uint32_t{1024});
  section.refused("256 patches a side", {0.05, 1 << 20}, {ErrorCode::limit_exceeded},
                  [&] { load_and_use(grid.bytes()); });
}

}  // namespace

void check_model_files(const Settings& settings, std::vector<Section>& table) {
  table.reserve(32);
  const Probe probe(tiny_model().bytes());
  check_truncation(table, probe);
  check_bytes(settings, table, probe);
  check_start(table);
  check_paths(settings, table);
  check_counts(table);
  check_keys(table, probe);
  check_tensors(table, probe);
  check_offsets(table);
  check_weights(settings, table);
  check_vocabularies(table);
  check_shapes(table);
  table.back().check("the probe is unchanged", probe.unchanged());
}

}  // namespace trust

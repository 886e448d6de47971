// Model files whose fields lie: counts, keys, tensors, offsets.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "model_cases.hpp"

namespace trust {

namespace {

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
                [&] { (void)Model::load_from_memory(std::span(shifted).subspan(1), with_threads(1)).embed_text("a"); });
}

}  // namespace

void check_model_fields(std::vector<Section>& table, const Probe& probe) {
  check_counts(table);
  check_keys(table, probe);
  check_tensors(table, probe);
  check_offsets(table);
}

}  // namespace trust

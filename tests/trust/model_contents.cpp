// Model files that are well-formed, and whose weights, vocabularies and shapes are hostile.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "model_cases.hpp"

namespace trust {

namespace {

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
        LoadOptions allow = with_threads(1);
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

// 100,000 merges whose pairs of ids differ in their upper half alone: a table of a power of two of places that is
// hashed by the numbers themselves walks past all before for each.
Bytes colliding_merges() {
  std::vector<std::string> tokens = support::tiny_tokens();
  tokens.resize(512);
  tokens.emplace_back("Right");
  std::vector<std::string> merges;
  for (int i = 0; i < 100'000; ++i) {
    const std::string left = "L" + std::to_string(i);
    merges.push_back(left + " Right");
    tokens.push_back(left);
    tokens.push_back(left + "Right");
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
      shape.stem = pick({2, 4, 6, 8, 10});
      shape.image_size = pick({32, 64, 96});
      shape.heads = pick({1, 2, 4});
      shape.width = shape.heads * pick({1, 3, 8});
      shape.feed_forward = 16;
    }
    const Bytes file = tiny_model(shape).bytes();
    for (const clipon::Precision precision :
         {clipon::Precision::f32, clipon::Precision::bf16, clipon::Precision::int8}) {
      LoadOptions options = with_threads(1);
      options.precision = precision;
      section.any("shape " + std::to_string(i), {5.0, 32 * file.size() + (std::size_t{16} << 20)},
                  [&] { load_and_use(file, options); });
    }
  }
  TinyShape heads;  // what is packed for a head has few outputs, and so have patches of a tower of one
  heads.width = heads.heads = 256;
  TinyShape patches;
  patches.width = patches.heads = 1;
  patches.image_size = patches.patch_size = 128;
  for (TinyShape shape : {heads, patches}) {
    shape.type = support::kTensorI8;
    const Bytes file = tiny_model(shape).bytes();
    section.any("as many heads, as large patches as may be", {5.0, 32 * file.size() + (std::size_t{16} << 20)},
                [&] { load_and_use(file, with_threads(1)); });
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
  refuse("257 heads", "clip.text.attention.head_count", 257, ErrorCode::bad_value);
  refuse("a vast patch", "clip.vision.patch_size", 129, ErrorCode::bad_value);
  refuse("a vast MLP", "clip.text.feed_forward_length", 1 << 18, ErrorCode::bad_value);
  refuse("a vast width", "clip.text.embedding_length", 16384, ErrorCode::bad_shape);
  refuse("256 blocks of one", "clip.text.block_count", 256, ErrorCode::missing_key);
  ModelFile grid = tiny_model();
  grid.key_named("clip.vision.image_size").value = raw(std::uint32_t{1024});
  section.refused("256 patches a side", {0.05, 1 << 20}, {ErrorCode::limit_exceeded},
                  [&] { load_and_use(grid.bytes()); });
}

}  // namespace

void check_model_contents(const Settings& settings, std::vector<Section>& table) {
  check_weights(settings, table);
  check_vocabularies(table);
  check_shapes(table);
}

}  // namespace trust

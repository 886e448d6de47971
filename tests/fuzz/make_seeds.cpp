// Writes the seeds of the fuzz targets: make_seeds DIR -> DIR/{model,picture,text,api}/seed-*.
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

#include "tiny_model.hpp"
#include "trust/picture_files.hpp"

namespace {

std::string root;

void write(const std::string& target, const std::string& bytes) {
  static int count = 0;
  // nothing of libstdc++'s compiled part, which is unknown to MemorySanitizer
  (void)::mkdir(root.c_str(), 0777);
  (void)::mkdir((root + "/" + target).c_str(), 0777);
  std::FILE* file = std::fopen((root + "/" + target + "/seed-" + std::to_string(count++)).c_str(), "wb");
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fclose(file) != 0) {
    std::abort();
  }
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  root = argv[1];
  for (const std::uint32_t type :
       {support::kTensorF32, support::kTensorF16, support::kTensorBf16, support::kTensorI8, support::kTensorQ8}) {
    support::TinyShape shape;
    shape.width = shape.heads = shape.feed_forward = 1;  // mostly header
    shape.embed_dim = 2;
    shape.context = 4;
    shape.type = type;
    shape.strict = type != support::kTensorQ8;
    write("model", std::string("\4").append(text_of(support::tiny_model(shape).bytes())));
    shape.resnet = shape.strict;
    shape.image_size = 32;
    if (shape.resnet && type == support::kTensorF32)
      write("model", std::string("\4").append(text_of(support::tiny_model(shape).bytes())));
  }
  support::TinyShape narrow;  // an MLP narrower than its block, and many texts
  narrow.width = 40;
  narrow.heads = narrow.feed_forward = 1;
  narrow.type = support::kTensorI8;
  for (const char* options : {"\x40", "\x44", "\x48"}) {  // bf16, int8, f32
    write("model", std::string(options).append(text_of(support::tiny_model(narrow).bytes())));
  }
  for (const bool strict : {true, false}) {
    support::ModelFile file;
    file.text("general.architecture", "clip").u32("a", 7).u32("general.alignment", 32);
    file.numbers("clip.vision.image_mean", support::kF32, std::vector<float>{0.5f, 0.4f});
    file.strings("tokenizer.ggml.tokens", {"a", "", "bc"}).key("b", 12, std::string(8, '\1'));
    file.tensor("w", {2, 3}, {1, 2, 3, 4, 5, 6}).tensor("v", {1}, {1});
    if (strict) {
      file.seal();
    } else {
      file.tensors.push_back({"q", {1, 32}, std::string(34, '\2'), support::kTensorQ8, {}, {}});
    }
    write("gguf", text_of(file.bytes()));
  }
  for (const std::string& file :
       {trust::png_of_noise(5, 4), trust::png_of_noise(3, 3, 16, 6), trust::png_of_noise(9, 2, 1, 0),
        trust::png_of_noise(5, 3, 4, 3), trust::png_of_noise(4, 4, 8, 4), trust::bmp_file(3, 3, 24, 36),
        trust::bmp_file(5, -3, 8, 24), trust::bmp_file(9, 2, 1, 8), trust::jpeg_of_noise(9, 9, 3, 90),
        trust::jpeg_of_noise(17, 9, 3, 30), trust::jpeg_of_noise(8, 8, 1, 60)}) {
    write("picture", std::string("\x21").append(file));
  }
  for (const char* text : {"a photo of a cat", "&amp;lt;b&gt; &#x41;&#65; &eacute",
                           "\xef\xbc\xa1\xef\xac\x83 \xe2\x80\x9cx\xe2\x80\x9d \x1b[31mred\x1b[0m",
                           "e\xcc\x81\xcc\xa7 \xea\xb0\x81 \xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8",
                           "\xce\x9f\xce\x94\xce\x9f\xce\xa3 \xc4\xb0 \xc5\xbf", "<|endoftext|> it's we'll 12 a\xff"}) {
    write("text", std::string(1, '\0') + text);
    write("text", std::string("\1").append(text));
  }
  using namespace std::string_literals;
  write("api", "\x0c\2\5a cat\3dog\1\x09\x0b\x05\x0d\1\3the\2\x20\x10\x07\x08\x08\x03"s);
  write("api", "\x02\1\4a at\1\x01\x01\xff\x03\0\1\x27\x01\x02"s);
  return 0;
}

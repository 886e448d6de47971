// Any bytes as a GGUF file, the reader alone: its keys and tensors are looked at as the loader looks at them.
#include "clipon/format/weights.hpp"
#include "fuzz.hpp"

int fuzz::gguf(const std::uint8_t* data, std::size_t size) {
  const clipon::LoadOptions options;
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const clipon::format::Gguf file(bytes, options);
    for (const char* key :
         {"general.alignment", "clipon.crc32c", "clip.vision.image_mean", "tokenizer.ggml.tokens", "a"}) {
      const auto& metadata = file.metadata();
      const auto attempt = [](const auto& read) {
        try {
          (void)read();
        } catch (const clipon::Error& error) {
          fuzz::expect_one_line(error);
        }
      };
      attempt([&] { return metadata.numbers(key).size(); });
      attempt([&] { return metadata.reals(key).size(); });
      attempt([&] { return metadata.strings(key).size(); });
      attempt([&] { return file.number(key, 0, 100); });
    }
    for (const clipon::format::TensorInfo& tensor : file.tensors()) {
      fuzz::expect(tensor.bytes.data() >= bytes.data() &&
                       tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size(),
                   "a tensor lies within its file");
    }
    clipon::format::Weights weights(file, options);
    for (const clipon::format::TensorInfo& tensor : file.tensors()) {
      (void)weights.get_vector(std::string(tensor.name), tensor.shape);
    }
    weights.finish();
  } catch (const clipon::Error& error) {
    fuzz::expect_one_line(error);
  }
  return 0;
}

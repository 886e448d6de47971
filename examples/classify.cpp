// Classifies one picture against labels of your choice: example_classify MODEL.gguf PICTURE LABEL...
#include <clipon/clipon.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf PICTURE LABEL...\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  const auto image = clipon::Image::read(argv[2]);
  clipon::ClassifyOptions options;
  options.templates = {"{}", "a picture of {}", "an emoji of {}"};  // averaged: an ensemble of prompts
  for (const auto& p : model.zero_shot_classify(image, {argv + 3, argv + argc}, options)) {
    std::cout << p.label << ' ' << p.probability << " (cosine " << p.cosine << ")\n";
  }
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

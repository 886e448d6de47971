// What an application writes: a model, a picture, labels.
#include <clipon/clipon.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc < 4) return 2;
  const auto model = clipon::Model::load(argv[1]);
  const auto image = clipon::Image::read(argv[2]);
  const std::vector<std::string> labels(argv + 3, argv + argc);
  for (const auto& p : model.zero_shot_classify(image, labels)) std::cout << p.label << ' ' << p.probability << '\n';
  return 0;
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// Learns classes from a few pictures: example_few_shot MODEL.gguf FOLDER PICTURE, with a folder for each class in
// FOLDER.
#include <algorithm>
#include <clipon/clipon.hpp>
#include <filesystem>
#include <iostream>

namespace fs = std::filesystem;

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf FOLDER PICTURE\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  std::vector<std::string> labels;
  for (const auto& entry : fs::directory_iterator(argv[2])) {
    if (entry.is_directory()) labels.push_back(entry.path().filename().string());
  }
  std::sort(labels.begin(), labels.end());
  std::vector<std::string> paths;
  std::vector<std::size_t> classes;
  for (std::size_t label = 0; label < labels.size(); ++label) {
    for (const auto& picture : fs::directory_iterator(fs::path(argv[2]) / labels[label])) {
      paths.push_back(picture.path().string());
      classes.push_back(label);
    }
  }

  const clipon::Classifier zero_shot(model, labels);  // what the labels' words say already
  clipon::ProbeOptions options;
  options.zero_shot = &zero_shot;
  const auto probe = clipon::LinearProbe::train(model, model.embed_image_files(paths), classes, labels, options);
  const auto image = clipon::Image::read(argv[3]);
  const auto answers = probe.classify_embeddings(model.embed_images({&image, 1}));
  for (const auto& p : answers.front()) {
    std::cout << p.label << ' ' << p.probability << '\n';
  }
} catch (const std::exception& error) {  // clipon::Error, or std::filesystem's
  std::cerr << error.what() << '\n';
  return 1;
}

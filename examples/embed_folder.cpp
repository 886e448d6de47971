// Embeds every picture of a folder and prints a line each: example_embed_folder MODEL.gguf FOLDER
// A picture that can't be read is reported and does not stop the others.
#include <algorithm>
#include <clipon/clipon.hpp>
#include <filesystem>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf FOLDER\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2])) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());

  std::vector<clipon::ItemStatus> status;
  clipon::BatchOptions options;
  options.status = &status;
  const clipon::Matrix embeddings = model.embed_image_files(paths, options);  // [pictures, embed_dim]
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::cout << paths[i] << ": ";
    if (status[i].ok) {
      std::cout << embeddings.row(static_cast<Eigen::Index>(i)).head(4) << " ...\n";
    } else {
      std::cout << status[i].message << '\n';
    }
  }
} catch (const std::exception& error) {  // clipon::Error, or std::filesystem's
  std::cerr << error.what() << '\n';
  return 1;
}

// Finds the pictures of a folder that fit a sentence: example_search MODEL.gguf FOLDER SENTENCE
// The vectors are kept as float16; a program would keep them in a file (docs/cli.md, "index", has one form of it).
#include <clipon/clipon.hpp>
#include <filesystem>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf FOLDER SENTENCE\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[2])) {
    std::error_code error;  // of a link that leads nowhere
    if (entry.is_regular_file(error)) paths.push_back(entry.path().string());
  }
  std::vector<clipon::ItemStatus> status;  // what is no picture becomes a row that is never found
  clipon::BatchOptions options;
  options.status = &status;
  clipon::StoredVectors vectors(clipon::DataType::f16, model.embed_dim());
  vectors.append(model.embed_image_files(paths, options));

  clipon::SearchOptions three;
  three.top = 3;
  for (const auto& match : clipon::search(vectors.view(), model.embed_text(argv[3]), three)) {
    std::cout << match.score << ' ' << paths[match.row] << '\n';
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// Ranks pictures by how well they fit a sentence: example_rank_by_sentence MODEL.gguf "a red fruit" PICTURE...
#include <algorithm>
#include <clipon/clipon.hpp>
#include <iostream>
#include <numeric>

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf SENTENCE PICTURE...\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  const std::vector<std::string> paths(argv + 3, argv + argc);
  const clipon::Vector sentence = model.embed_text(argv[2]);
  const clipon::Vector cosines = model.embed_image_files(paths) * sentence;  // unit vectors: dot products are cosines

  std::vector<Eigen::Index> order(paths.size());
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return cosines[a] > cosines[b]; });
  for (const auto i : order) std::cout << cosines[i] << ' ' << paths[static_cast<std::size_t>(i)] << '\n';
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

// A server's worker threads share one model: example_thread_pool MODEL.gguf PICTURE...
// The model is immutable; each call brings its own scratch memory.  One thread a call suits many small requests.
#include <atomic>
#include <clipon/clipon.hpp>
#include <iostream>
#include <mutex>
#include <thread>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf PICTURE...\n";
    return 2;
  }
  clipon::LoadOptions options;
  options.threads = 1;
  const auto model = clipon::Model::load(argv[1], options);
  const clipon::Classifier classifier(model, {"fruit", "animal", "vehicle", "building", "food"});
  std::atomic<int> next{2};
  std::mutex output;
  const auto work = [&] {
    for (int i = next++; i < argc; i = next++) {
      std::string answer;
      try {
        answer = classifier.classify(clipon::Image::read(argv[i])).front().label;
      } catch (const clipon::Error& error) {
        answer = error.what();
      }
      const std::lock_guard lock(output);
      std::cout << argv[i] << ": " << answer << '\n';
    }
  };
  std::vector<std::jthread> workers;
  for (int t = 0; t < 4; ++t) workers.emplace_back(work);
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

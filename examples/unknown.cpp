// A softmax always has a winner; this program may also answer "unknown": example_unknown MODEL.gguf PICTURE...
// Two ways at once: texts that stand for anything else take part, and the best label must be clear of the second.
#include <clipon/clipon.hpp>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf PICTURE...\n";
    return 2;
  }
  const auto model = clipon::Model::load(argv[1]);
  clipon::ClassifyOptions options;
  options.templates = clipon::template_set("ensemble");
  options.background = {"a picture", "something", "an animal", "a symbol"};
  options.reject.min_margin = 0.02f;  // of the cosine; Classifier::calibrate finds it from labelled pictures
  options.top = 1;
  const std::vector<clipon::Label> labels = {{"pizza", {"a slice of pizza"}}, {"guitar", {}}, {"house", {"home"}}};
  const clipon::Classifier classifier(model, labels, options);
  for (int i = 2; i < argc; ++i) {
    const auto best = classifier.classify(clipon::Image::read(argv[i])).front();
    std::cout << argv[i] << ": " << (best.chosen ? best.label : "unknown") << " (cosine " << best.cosine << ", margin "
              << best.margin << ")\n";
  }
} catch (const clipon::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

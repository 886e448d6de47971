// Runs a fuzz target over folders of files: the corpus, in every build, without libFuzzer.  replay TARGET FOLDER...
#include <dirent.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fuzz.hpp"

namespace {

// Here and below nothing of libstdc++'s compiled part, which is unknown to MemorySanitizer.
std::vector<std::uint8_t> read(const std::string& path) {
  std::vector<std::uint8_t> bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot be read");
  std::uint8_t part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, file)) bytes.insert(bytes.end(), part, part + got);
  std::fclose(file);
  return bytes;
}

fuzz::Target* find_target(const std::string& name) {
  constexpr std::pair<const char*, fuzz::Target*> targets[] = {{"gguf", fuzz::gguf},
                                                               {"model", fuzz::model},
                                                               {"picture", fuzz::picture},
                                                               {"text", fuzz::text},
                                                               {"api", fuzz::api}};
  for (const auto& [known, target] : targets) {
    if (name == known) return target;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  fuzz::Target* const target = argc > 1 ? find_target(argv[1]) : nullptr;
  if (target == nullptr) {
    std::printf("usage: replay gguf|model|picture|text|api FOLDER...\n");
    return 1;
  }
  std::vector<std::string> files;
  for (int i = 2; i < argc; ++i) {
    DIR* folder = ::opendir(argv[i]);
    if (folder == nullptr) continue;  // nothing has been found for this target yet
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") files.push_back(std::string(argv[i]) + "/" + name);
    }
    ::closedir(folder);
  }
  int failed = 0;
  for (const auto& path : files) {
    try {
      const std::vector<std::uint8_t> bytes = read(path);
      (void)target(bytes.data(), bytes.size());
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", path.c_str(), error.what());
      ++failed;
    }
  }
  std::printf("%zu inputs, %d failed\n", files.size(), failed);
  return failed == 0 && !files.empty() ? 0 : 1;
}

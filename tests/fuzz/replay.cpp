// Runs a fuzz target over folders of files: the corpus, in every build, without libFuzzer.
#include <dirent.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz.hpp"

int main(int argc, char** argv) {
  std::vector<std::string> files;  // no std::filesystem: libstdc++'s own code is unknown to MemorySanitizer
  for (int i = 1; i < argc; ++i) {
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
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    try {
      (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", path.c_str(), error.what());
      ++failed;
    }
  }
  std::printf("%zu inputs, %d failed\n", files.size(), failed);
  return failed == 0 && !files.empty() ? 0 : 1;
}

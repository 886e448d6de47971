// The trust matrix: hostile models, pictures, texts and circumstances, made by code; a line a section.
//   clipon_trust [--full] [--only models|pictures|texts|runtime] [--source DIR] [--work DIR]
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "matrix.hpp"

int main(int argc, char** argv) {
  trust::Settings settings;
  settings.source_dir = CLIPON_SOURCE_DIR;
  settings.work_dir = (std::filesystem::temp_directory_path() / "clipon_trust").string();
  std::string only;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--full") == 0) {
      settings.full = true;
    } else if (i + 1 < argc && std::strcmp(argv[i], "--only") == 0) {
      only = argv[++i];
    } else if (i + 1 < argc && std::strcmp(argv[i], "--work") == 0) {
      settings.work_dir = argv[++i];
    } else {
      std::fprintf(stderr, "usage: clipon_trust [--full] [--only models|pictures|texts|runtime] [--work DIR]\n");
      return 2;
    }
  }
  std::filesystem::create_directories(settings.work_dir);
  using Check = void (*)(const trust::Settings&, std::vector<trust::Section>&);
  const std::pair<const char*, Check> checks[] = {{"models", trust::check_model_files},
                                                  {"pictures", trust::check_pictures},
                                                  {"texts", trust::check_texts},
                                                  {"runtime", trust::check_runtime}};
  bool passed = true;
  bool any = false;
  for (const auto& [name, check] : checks) {
    if (!only.empty() && only != name) continue;
    any = true;
    std::vector<trust::Section> table;
    check(settings, table);
    for (const trust::Section& section : table) {
      std::printf("%s\n", section.line().c_str());
      for (const std::string& failure : section.failures()) std::printf("    %s\n", failure.c_str());
      passed = passed && section.passed();
    }
    std::fflush(stdout);
  }
  std::filesystem::remove_all(settings.work_dir);
  if (!any) std::fprintf(stderr, "clipon_trust: --only: expected one of its parts, found '%s'\n", only.c_str());
  return !any ? 2 : passed ? 0 : 1;
}

#include "inputs.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clipon/format/read_lines.hpp>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "settings.hpp"

namespace cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxTextBytes = 1ull << 30;

bool may_be_walked(const std::string& folder) {
  return ::access(folder.c_str(), R_OK | X_OK) == 0;
}

}  // namespace

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_picture_extension(const std::string& extension) {
  return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "bmp";
}

bool is_named_like_json(const std::string& path) {
  return lower_case(path).ends_with(".json");
}

bool is_named_like_a_picture(const std::string& path) {
  const std::string extension = lower_case(fs::path(path).extension().string());
  return !extension.empty() && is_picture_extension(extension.substr(1));
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

std::vector<std::string> expand_pictures(const std::vector<std::string>& paths, bool may_be_empty) {
  std::vector<std::string> pictures;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      pictures.push_back(path);
      continue;
    }
    if (!may_be_walked(path)) throw UsageError(path + ": " + std::strerror(errno));
    std::vector<std::string> found;
    const auto options = fs::directory_options::skip_permission_denied;
    for (auto entry = fs::recursive_directory_iterator(path, options, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      if (is_hidden(entry->path())) {
        entry.disable_recursion_pending();
      } else if (!entry->is_symlink(error) && entry->is_directory(error) && !may_be_walked(entry->path().native())) {
        const char* why = std::strerror(errno);
        std::fprintf(stderr, "clipon: %s: left out: %s\n", clipon::one_line(entry->path().native()).c_str(), why);
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file(error) && is_named_like_a_picture(entry->path().string())) {
        found.push_back(entry->path().string());
      }
    }
    if (error) throw clipon::Error(clipon::ErrorCode::io, path + ": can't be walked: " + error.message());
    if (found.empty() && !may_be_empty)
      throw UsageError(path + ": expected .jpg, .jpeg, .png or .bmp files in this folder, found none");
    std::sort(found.begin(), found.end());
    pictures.insert(pictures.end(), found.begin(), found.end());
  }
  return pictures;
}

nlohmann::ordered_json read_json(const std::string& path, std::uint64_t max_bytes, const char* what) {
  const auto bytes = clipon::format::read_file(path, max_bytes, what);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return nlohmann::ordered_json::parse(text, text + bytes.size(), nullptr, false);
}

std::vector<std::string> read_texts(const std::string& path) {
  if (!is_named_like_json(path)) return clipon::format::read_lines(path, kMaxTextBytes, "texts");
  const auto json = read_json(path, kMaxTextBytes, "texts");
  if (!json.is_array()) throw UsageError(path + ": expected a JSON array of strings");
  std::vector<std::string> texts;
  for (const auto& text : json) {
    if (!text.is_string()) throw UsageError(path + ": expected a JSON array of strings");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace cli

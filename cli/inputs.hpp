// Where pictures, labels and texts come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace cli {

/// Files as they are; folders walked, their .jpg, .jpeg, .png and .bmp files in the order of their paths, without
/// hidden ones and hidden folders.  Throws UsageError when nothing is left of a folder that may not be empty.
std::vector<std::string> expand_pictures(const std::vector<std::string>& paths, bool may_be_empty = false);

/// One text a line, or the strings of a .json array; empty lines of a text file are left out.
std::vector<std::string> read_texts(const std::string& path);

/// What a file of at most `max_bytes` holds; discarded where that is no JSON.  Throws clipon::Error io and
/// limit_exceeded, naming it `what`.
nlohmann::ordered_json read_json(const std::string& path, std::uint64_t max_bytes, const char* what);

/// ASCII letters alone.
std::string lower_case(std::string text);

/// As Unix hides files: by a dot.  Thumbnails, what was thrown away, and what macOS adds to other systems' disks.
bool is_hidden(const std::filesystem::path& path);

/// Of those that clipon reads, in lower case and without the dot.
bool is_picture_extension(const std::string& extension);

/// By its suffix, in any case.
bool is_named_like_json(const std::string& path);

/// By its suffix: .jpg, .jpeg, .png or .bmp in any case.
bool is_named_like_a_picture(const std::string& path);

}  // namespace cli

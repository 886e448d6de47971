#include "outputs.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <clipon/core/utf8.hpp>
#include <clipon/format/write_file.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

namespace cli {

namespace {

std::int64_t now() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

std::string npy_header(const char* type, const std::vector<std::ptrdiff_t>& shape) {
  std::string text = std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (";
  for (const auto extent : shape) text += std::to_string(extent) + ", ";
  text += "), }";
  constexpr std::size_t prefix = 10;  // magic, version, length of the text
  text.append(63 - (prefix + text.size()) % 64, ' ').push_back('\n');
  std::string header("\x93NUMPY\x01\x00", 8);
  header.push_back(static_cast<char>(text.size() & 0xff));
  header.push_back(static_cast<char>(text.size() >> 8));
  return header + text;
}

void write_npy(const std::string& path, const clipon::Matrix& values) {
  const std::string header = npy_header("<f4", {values.rows(), values.cols()});
  const std::span numbers(values.data(), static_cast<std::size_t>(values.size()));
  clipon::format::write_file(path, std::as_bytes(std::span(header)), std::as_bytes(numbers));
}

void write_npy(const std::string& path, const std::vector<std::uint8_t>& values,
               const std::vector<std::ptrdiff_t>& shape) {
  const std::string header = npy_header("|u1", shape);
  clipon::format::write_file(path, std::as_bytes(std::span(header)), std::as_bytes(std::span(values)));
}

void expect_writable(const std::string& path) {
  if (path.empty()) return;
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  // a link to nothing is written to, but makes a file
  const bool makes_a_file = clipon::format::is_replaced(path) || !std::filesystem::exists(path, error);
  const std::string parent = std::filesystem::path(path).parent_path() / ".";
  const std::string& target = makes_a_file ? parent : path;
  if (!folder && ::access(target.c_str(), makes_a_file ? W_OK | X_OK : W_OK) == 0) return;
  const std::string why = std::strerror(folder ? EISDIR : errno);
  throw clipon::Error(clipon::ErrorCode::io, path + ": can't write it: " + why);
}

void write_text(const std::string& path, const std::string& text) {
  clipon::format::write_file(path, std::as_bytes(std::span(text)));
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto step = clipon::utf8::decode_step(text);
    if (step.code_point < 0) return false;
    text.remove_prefix(step.bytes);
  }
  return true;
}

nlohmann::ordered_json path_json(const std::string& path) {
  nlohmann::ordered_json json = {{"path", path}};
  if (!is_utf8(path)) json["path_bytes"] = std::vector<unsigned char>(path.begin(), path.end());
  return json;
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string printable(const std::string& text) {
  static const bool on_a_terminal = isatty(STDOUT_FILENO) != 0;  // asked once: tables print many
  return on_a_terminal ? clipon::one_line(text) : text;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, width_of(text)), ' ');
}

std::string counted(std::size_t n, const char* one, const char* more) {
  return std::to_string(n).append(" ").append(n == 1 ? one : more);
}

std::size_t report_failures(const std::vector<std::string>& names, const std::vector<clipon::ItemStatus>& status) {
  std::size_t failed = 0;
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i].ok) continue;
    ++failed;
    const std::string name = clipon::one_line(names[i]);
    const bool named = status[i].message.starts_with(name);
    std::fprintf(stderr, "clipon: %s%s%s\n", named ? "" : name.c_str(), named ? "" : ": ", status[i].message.c_str());
  }
  return failed;
}

Progress::Progress(std::string what) : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) != 0), start_(now()) {}

Progress::~Progress() {
  hide();
}

void Progress::hide() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void Progress::show(std::size_t done, std::size_t total) {
  if (!terminal_ || total <= 1) return;
  shown_ = true;
  constexpr std::size_t width = 30;
  const std::size_t filled = done * width / total;
  const double seconds = static_cast<double>(now() - start_) * 1e-9;
  const double left = done > 0 ? seconds * static_cast<double>(total - done) / static_cast<double>(done) : 0.0;
  std::fprintf(stderr, "\r%s [%s%s] %zu/%zu, %.0f s left\033[K", what_.c_str(), std::string(filled, '#').c_str(),
               std::string(width - filled, '.').c_str(), done, total, left);
}

}  // namespace cli

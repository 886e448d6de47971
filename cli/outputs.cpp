#include "outputs.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace cli {

namespace {

void write_file(const std::string& path, const std::string& header, const void* data, std::size_t bytes) {
  const std::string temporary = path + ".part";
  std::ofstream file(temporary, std::ios::binary);
  file << header;
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const std::string why = std::strerror(errno);
    std::remove(temporary.c_str());
    throw clipon::Error(clipon::ErrorCode::io, path + ": can't write it: " + why);
  }
}

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
  write_file(path, npy_header("<f4", {values.rows(), values.cols()}), values.data(),
             static_cast<std::size_t>(values.size()) * sizeof(float));
}

void write_npy(const std::string& path, const std::vector<std::uint8_t>& values,
               const std::vector<std::ptrdiff_t>& shape) {
  write_file(path, npy_header("|u1", shape), values.data(), values.size());
}

void write_text(const std::string& path, const std::string& text) {
  write_file(path, text, nullptr, 0);
}

std::size_t report_failures(const std::vector<std::string>& names, const std::vector<clipon::ItemStatus>& status) {
  std::size_t failed = 0;
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i].ok) continue;
    ++failed;
    const bool named = status[i].message.starts_with(names[i]);
    std::fprintf(stderr, "clipon: %s%s%s\n", named ? "" : names[i].c_str(), named ? "" : ": ",
                 status[i].message.c_str());
  }
  return failed;
}

Progress::Progress(std::string what, std::size_t total)
    : what_(std::move(what)), total_(total), terminal_(isatty(STDERR_FILENO) != 0 && total > 1), start_(now()) {}

Progress::~Progress() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::show(std::size_t done) {
  if (!terminal_) return;
  constexpr std::size_t width = 30;
  const std::size_t filled = done * width / total_;
  const double seconds = static_cast<double>(now() - start_) * 1e-9;
  const double left = done > 0 ? seconds * static_cast<double>(total_ - done) / static_cast<double>(done) : 0.0;
  std::fprintf(stderr, "\r%s [%s%s] %zu/%zu, %.0f s left\033[K", what_.c_str(), std::string(filled, '#').c_str(),
               std::string(width - filled, '.').c_str(), done, total_, left);
}

}  // namespace cli

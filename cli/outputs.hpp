// Arrays to .npy, failures to the error stream, long work to a progress bar.
#pragma once

#include <clipon/clipon.hpp>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

/// NumPy's format 1.0, C order.  Throws clipon::Error io.
void write_npy(const std::string& path, const clipon::Matrix& values);
void write_npy(const std::string& path, const std::vector<std::uint8_t>& values,
               const std::vector<std::ptrdiff_t>& shape);

/// The header of such a file: `type` is NumPy's name, "<f4"; 128 bytes for up to four extents.
std::string npy_header(const char* type, const std::vector<std::ptrdiff_t>& shape);

/// For use before work that takes long: throws clipon::Error io where write_text is sure to.  Empty: nothing to write.
void expect_writable(const std::string& path);

/// Throws clipon::Error io.
void write_text(const std::string& path, const std::string& text);

/// Whether `text` is well-formed UTF-8, as JSON is.
bool is_utf8(std::string_view text);

/// {"path": ...}, and where the path is not UTF-8 its bytes, an array of numbers, under "path_bytes".
nlohmann::ordered_json path_json(const std::string& path);

/// With a line end; what is not UTF-8 (names come from anybody's files) as U+FFFD.  indent -1: on one line.
std::string json_text(const nlohmann::ordered_json& json, int indent = 2);

/// A name, label or text for standard output: as it is in a pipe; one line without escape sequences on a terminal.
std::string printable(const std::string& text);

/// How wide a text is in a table: its code points.  (Some characters take two columns of a terminal, others none.)
std::size_t width_of(std::string_view text);

/// With blanks behind it up to a width.
std::string padded(const std::string& text, std::size_t width);

/// "1 picture", "2 pictures".
std::string counted(std::size_t n, const char* one, const char* more);

/// One line for each item that failed; how many did.
std::size_t report_failures(const std::vector<std::string>& names, const std::vector<clipon::ItemStatus>& status);

/// A bar on a terminal, nothing in a pipe.  Lines are printed when it is hidden or gone.
class Progress {
 public:
  explicit Progress(std::string what);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  void show(std::size_t done, std::size_t total);  // nothing of a single item
  void hide();                                     // until it is shown again

 private:
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  std::int64_t start_;  // nanoseconds
};

}  // namespace cli

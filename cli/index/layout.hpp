// An index of pictures on disk: a folder of plain files that NumPy and any JSON reader open (docs/cli.md, "index").
//
//   index.json   what made the rows: model, fingerprint, precision, exif where pictures were turned, type, width
//   vectors.npy  float16 or int8 [rows, width]
//   scales.npy   float32 [rows], for int8 alone
//   rows.jsonl   a line a row: path, size and time of the file, or why it failed
//
// Rows are only appended: first to the .npy files, then to rows.jsonl.  A row exists when its line is whole; what
// stands behind the last such row in any file is the rest of an interrupted batch, which the next writer cuts off.
#pragma once

#include <clipon/clipon.hpp>
#include <cstdint>
#include <string>

namespace cli {

/// What an index is made by; rows made by anything else would not fit in.
struct IndexHead {
  std::string model;
  std::string fingerprint;  // of the model file, 8 hexadecimal digits
  std::string precision;
  bool exif = false;  // pictures were turned as their Exif orientation says
  clipon::DataType type = clipon::DataType::f16;
  std::ptrdiff_t width = 0;

  [[nodiscard]] std::size_t row_bytes() const { return static_cast<std::size_t>(width) * clipon::size_of(type); }
};

struct IndexRow {
  std::string path;  // absolute
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // nanoseconds since 1970
  std::string error;       // empty: embedded; else why not, and the vector is NaN
};

constexpr std::size_t kNpyHeaderBytes = 128;

/// The files of an index in `folder`.
struct IndexPaths {
  explicit IndexPaths(const std::string& folder)
      : head(folder + "/index.json"),
        vectors(folder + "/vectors.npy"),
        scales(folder + "/scales.npy"),
        rows(folder + "/rows.jsonl"),
        lock(folder + "/lock"),
        replacing(folder + "/replacing") {}
  std::string head, vectors, scales, rows, lock;
  std::string replacing;  // exists while FILE.new takes FILE's place
};

IndexHead head_of(const clipon::Model& model, clipon::DataType type, bool exif);
/// Throws clipon::Error io where there is none, bad_value where it makes no sense.
IndexHead read_head(const std::string& path);
std::string to_json(const IndexHead& head);

/// One line of rows.jsonl without its end.  Throws clipon::Error bad_value.
IndexRow parse_row(std::string_view line, const std::string& path);
std::string to_line(const IndexRow& row);

}  // namespace cli

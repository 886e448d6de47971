#include "index/layout.hpp"

#include <nlohmann/json.hpp>
#include <vector>

#include "inputs.hpp"
#include "outputs.hpp"
#include "settings.hpp"

namespace cli {

namespace {

using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::uint64_t kMaxHeadBytes = 1 << 20;

[[noreturn]] void reject(const std::string& path, const std::string& expected) {
  throw clipon::Error(clipon::ErrorCode::bad_value, path + ": index: expected " + expected);
}

template <class T>
T value(const ordered_json& json, const char* key, const std::string& path) {
  try {
    return json.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    std::string found = "none";
    if (json.contains(key)) {
      const ordered_json& it = json.at(key);  // dump would call itself once for each level of a hostile nesting
      const auto replace = ordered_json::error_handler_t::replace;
      found = it.is_structured() ? std::string("an ") + it.type_name() : it.dump(-1, ' ', false, replace);
    }
    reject(path, key + (" of the kind that clipon index writes, found " + found));
  }
}

}  // namespace

IndexHead head_of(const clipon::Model& model, clipon::DataType type, bool exif) {
  return {model.info().name, clipon::hexadecimal(model.info().fingerprint), to_string(model.precision()), exif, type,
          model.embed_dim()};
}

IndexHead read_head(const std::string& path) {
  const auto json = read_json(path, kMaxHeadBytes, "index");
  if (!json.is_object()) reject(path, "a JSON object");
  if (value<int>(json, "clipon_index", path) != kVersion) reject(path, "version 1");
  IndexHead head;
  head.model = value<std::string>(json, "model", path);
  head.fingerprint = value<std::string>(json, "fingerprint", path);
  head.precision = value<std::string>(json, "precision", path);
  if (json.contains("exif")) head.exif = value<bool>(json, "exif", path);
  head.width = value<std::ptrdiff_t>(json, "width", path);
  const auto type = value<std::string>(json, "type", path);
  if (type != "float16" && type != "int8") reject(path, "the type float16 or int8");
  head.type = type == "int8" ? clipon::DataType::i8 : clipon::DataType::f16;
  if (head.width < 1 || head.width > 1 << 20) reject(path, "a width of 1 to 2^20");
  return head;
}

std::string to_json(const IndexHead& head) {
  ordered_json json = {{"clipon_index", kVersion},
                       {"model", head.model},
                       {"fingerprint", head.fingerprint},
                       {"precision", head.precision}};
  if (head.exif) json["exif"] = true;
  json["type"] = head.type == clipon::DataType::i8 ? "int8" : "float16";
  json["width"] = head.width;
  return json_text(json);
}

IndexRow parse_row(std::string_view line, const std::string& path) {
  const auto json = ordered_json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) reject(path, "a JSON object a line");
  IndexRow row;
  row.path = value<std::string>(json, "path", path);
  if (json.contains("path_bytes")) {
    const auto bytes = value<std::vector<unsigned char>>(json, "path_bytes", path);
    row.path.assign(bytes.begin(), bytes.end());
  }
  row.size = value<std::uint64_t>(json, "size", path);
  row.mtime = value<std::int64_t>(json, "mtime_ns", path);
  if (json.contains("error")) row.error = value<std::string>(json, "error", path);
  return row;
}

std::string to_line(const IndexRow& row) {
  ordered_json json = {{"path", row.path}, {"size", row.size}, {"mtime_ns", row.mtime}};
  if (!is_utf8(row.path)) json["path_bytes"] = std::vector<unsigned char>(row.path.begin(), row.path.end());
  if (!row.error.empty()) json["error"] = row.error;
  return json_text(json, -1);
}

}  // namespace cli

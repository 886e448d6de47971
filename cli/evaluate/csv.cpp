#include "evaluate/csv.hpp"

#include "settings.hpp"

namespace cli {

std::vector<std::vector<std::string>> parse_csv(const std::string& text, const std::string& name) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record(1);
  bool quoted = false;
  std::size_t quoted_record = 0;  // in which the last quotation began
  for (std::size_t i = text.starts_with("\xef\xbb\xbf") ? 3 : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        record.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        record.back() += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && record.back().empty()) {
      quoted = true;
      quoted_record = records.size() + 1;
    } else if (c == ',') {
      record.emplace_back();
    } else if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      continue;  // of a line end
    } else if (c == '\n' || c == '\r') {
      if (record.size() > 1 || !record.front().empty()) records.push_back(record);
      record.assign(1, "");
    } else {
      record.back() += c;
    }
  }
  if (quoted) {
    throw UsageError(name + ": record " + std::to_string(quoted_record) +
                     ": expected '\"' at the end of what begins with one");
  }
  if (record.size() > 1 || !record.front().empty()) records.push_back(record);
  return records;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace cli

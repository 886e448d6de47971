// Comma-separated values, RFC 4180.
#pragma once

#include <string>
#include <vector>

namespace cli {

/// Records of comma-separated values: a field that begins with a quote may hold commas, quotes (doubled) and line ends;
/// in any other a quote is a character.  Throws UsageError, naming `name`, where the end of such a field is missing.
std::vector<std::vector<std::string>> parse_csv(const std::string& text, const std::string& name);
/// A field as it may stand in a record.
std::string csv_field(const std::string& text);

}  // namespace cli

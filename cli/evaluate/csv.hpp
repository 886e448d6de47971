// Comma-separated values, RFC 4180.
#pragma once

#include <string>
#include <vector>

namespace cli {

/// Records of comma-separated values: quoted fields may hold commas, quotes (doubled) and line ends.
std::vector<std::vector<std::string>> parse_csv(const std::string& text);
/// A field as it may stand in a record.
std::string csv_field(const std::string& text);

}  // namespace cli

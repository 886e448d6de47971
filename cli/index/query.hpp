// What to search for: sentences and pictures, added and taken away: "beach.jpg + snow - people".
#pragma once

#include <clipon/clipon.hpp>
#include <string>
#include <vector>

#include "settings.hpp"

namespace cli {

struct QueryTerm {
  std::string text;  // a picture, where there is a file of this name; else words
  bool subtract = false;
};

/// Terms divided by " + " and " - ".  Throws UsageError where one is empty.
std::vector<QueryTerm> parse_query(const std::string& query);

/// The sum of the terms' unit vectors, to unit length.
clipon::Vector embed_query(const clipon::Model& model, const Settings& settings, const std::vector<QueryTerm>& terms);

}  // namespace cli

// Where the time of a forward pass goes, as JSON and as a table; the second half of `clipon bench --profile`.
#pragma once

#include <clipon/clipon.hpp>
#include <functional>
#include <nlohmann/json.hpp>

namespace cli {

/// One row an operator and shape, the most expensive first, then "everything else".  `profile` holds `calls` calls that
/// took `wall_seconds` in all; `peak_of` tells operations a second of all threads in an operator's type.
nlohmann::ordered_json describe_profile(const clipon::Profile& profile, double calls, double wall_seconds,
                                        const clipon::kernels::Context& context,
                                        const std::function<double(clipon::DataType)>& peak_of);

void print_profile(const nlohmann::ordered_json& rows);

}  // namespace cli

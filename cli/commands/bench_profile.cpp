#include "commands/bench_profile.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

namespace cli {

nlohmann::ordered_json describe_profile(const clipon::Profile& profile, double calls, double wall_seconds,
                                        const clipon::kernels::Context& context,
                                        const std::function<double(clipon::DataType)>& peak_of) {
  auto rows = nlohmann::ordered_json::array();
  auto times = profile.times();
  std::sort(times.begin(), times.end(),
            [](const auto& a, const auto& b) { return a.thread_seconds > b.thread_seconds; });
  const double all = wall_seconds * context.threads.count;
  double told = 0.0;
  for (const clipon::OperatorTime& time : times) {
    told += time.thread_seconds;
    nlohmann::ordered_json row = {{"operator", time.name},
                                  {"type", to_string(time.type)},
                                  {"outputs", time.outputs},
                                  {"inputs", time.inputs},
                                  {"rows_a_call", time.rows / static_cast<double>(time.calls)},
                                  {"calls", static_cast<double>(time.calls) / calls},
                                  {"milliseconds", time.thread_seconds * 1e3 / context.threads.count / calls},
                                  {"share_of_time", time.thread_seconds / all}};
    if (time.operations > 0.0) {
      row["gflops"] = time.operations / time.thread_seconds * 1e-9 * context.threads.count;
      row["share_of_peak"] = time.operations / time.thread_seconds * context.threads.count / peak_of(time.type);
    }
    rows.push_back(row);
  }
  rows.push_back({{"operator", "everything else"},
                  {"milliseconds", (all - told) * 1e3 / context.threads.count / calls},
                  {"share_of_time", (all - told) / all}});
  return rows;
}

void print_profile(const nlohmann::ordered_json& rows) {
  std::printf("    %-16s %-5s %7s %7s %8s %7s %10s %7s %9s %6s\n", "operator", "type", "outputs", "inputs", "rows",
              "calls", "ms", "time", "GFLOP/s", "peak");
  for (const auto& row : rows) {
    std::printf("    %-16s %-5s", row["operator"].get<std::string>().c_str(), row.value("type", "").c_str());
    if (row.contains("calls")) {
      std::printf(" %7d %7d %8.1f %7.1f", row["outputs"].get<int>(), row["inputs"].get<int>(),
                  row["rows_a_call"].get<double>(), row["calls"].get<double>());
    } else {
      std::printf(" %32s", "");
    }
    std::printf(" %10.3f %6.1f%%", row["milliseconds"].get<double>(), 100.0 * row["share_of_time"].get<double>());
    if (row.contains("gflops")) {
      std::printf(" %9.1f %6.3f", row["gflops"].get<double>(), row["share_of_peak"].get<double>());
    }
    std::printf("\n");
  }
}

}  // namespace cli

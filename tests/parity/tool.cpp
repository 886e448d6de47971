// parity_tool: calls that the command does not have, on raw arrays, for the tests of this folder.  Embedded model.
//   contrastive IMAGES TEXTS N D SCALE OUT     f32 [N, D] twice -> f64: loss, scale's gradient, both gradients
//   probe ROWS CLASSES N D K C PRIOR OUT       f32 [N, D], i64 [N]; PRIOR: f32 [K, D], times the logit scale, or "-"
//                                              -> f64: objective, iterations, converged, W [K, D], b [K]
#include <clipon/clipon.hpp>
#include <clipon/linear_probe/logistic_regression.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

template <class T>
std::vector<T> read_raw(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

clipon::Matrix read_rows(const char* path, long rows, long columns) {
  const auto values = read_raw<float>(path);
  if (values.size() != static_cast<std::size_t>(rows * columns)) {
    throw clipon::Error(clipon::ErrorCode::bad_shape, std::string(path) + ": another size than said");
  }
  clipon::Matrix out(rows, columns);
  std::copy(values.begin(), values.end(), out.data());
  return out;
}

class Output {
 public:
  void add(double value) { values_.push_back(value); }
  void add(const clipon::Matrix& m) { values_.insert(values_.end(), m.data(), m.data() + m.size()); }
  void write(const char* path) const {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(values_.data()), static_cast<std::streamsize>(values_.size() * 8));
  }

 private:
  std::vector<double> values_;
};

void contrastive(const clipon::Model& model, char** argument) {
  const long n = std::atol(argument[2]);
  const long d = std::atol(argument[3]);
  const auto scale = std::strtof(argument[4], nullptr);
  const auto found =
      clipon::contrastive_gradients(model, read_rows(argument[0], n, d), read_rows(argument[1], n, d), scale);
  Output out;
  out.add(found.loss);
  out.add(found.logit_scale);
  out.add(found.images);
  out.add(found.texts);
  out.write(argument[5]);
}

// The objective and its minimum without a model's embedding width: the library's own inner call.
void probe(const clipon::Model& model, char** argument) {
  const long n = std::atol(argument[2]);
  const long d = std::atol(argument[3]);
  const long k = std::atol(argument[4]);
  const clipon::Matrix rows = read_rows(argument[0], n, d);
  std::vector<std::size_t> classes;
  for (const long long one : read_raw<long long>(argument[1])) classes.push_back(static_cast<std::size_t>(one));
  std::vector<float> prior(static_cast<std::size_t>(k * d), 0.0f);
  if (std::strcmp(argument[6], "-") != 0) {
    prior = read_raw<float>(argument[6]);
    for (float& x : prior) x *= model.logit_scale();
  }
  const clipon::detail::LogisticRegression regression(model.context(), rows, classes, static_cast<std::size_t>(k),
                                                      prior);
  std::vector<double> point;
  const auto result = regression.fit(std::atof(argument[5]), point, {});
  Output out;
  out.add(result.value);
  out.add(result.iterations);
  out.add(result.converged ? 1.0 : 0.0);
  for (const double x : point) out.add(x);
  out.write(argument[7]);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto model = clipon::Model::load_demo();
  if (what == "contrastive" && argc == 8) {
    contrastive(model, argv + 2);
  } else if (what == "probe" && argc == 10) {
    probe(model, argv + 2);
  } else {
    std::fprintf(stderr, "parity_tool: see its source for what it takes\n");
    return 2;
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "parity_tool: %s\n", error.what());
  return 1;
}

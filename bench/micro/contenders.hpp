// Libraries that multiply matrices, behind one call each.  Made by the make_ functions for one shape, run by main.cpp.
#pragma once

#include <clipon/core/types.hpp>
#include <clipon/kernels/gemm.hpp>
#include <memory>
#include <string>
#include <vector>

#include "shapes.hpp"

namespace bench {

/// out = A W^T of one shape and type; W is prepared (packed, reordered) where the library can.
class Contender {
 public:
  Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;
  virtual ~Contender() = default;
  virtual void run() = 0;
  /// Element (row, column) of the last result, to see that all compute the same.
  [[nodiscard]] virtual double result(index_t row, index_t column) const = 0;
};

/// Values that all contenders are given: A [m, k] in 0..1 and W [n, k] in -1..1.
struct Matrices {
  Shape shape;
  std::vector<float> a;
  std::vector<float> w;
};
Matrices make_matrices(const Shape& shape);

/// Null where the library has no product of that type, or was not found when this was built; clipon on rows in pairs
/// also where it would compute this shape as for single rows.
std::unique_ptr<Contender> make_clipon(const clipon::kernels::Context& context, const Matrices& in,
                                       clipon::DataType type, clipon::kernels::Rows rows);
std::unique_ptr<Contender> make_onednn(int threads, const Matrices& in, clipon::DataType type);
std::unique_ptr<Contender> make_openblas(int threads, const Matrices& in, clipon::DataType type);
std::unique_ptr<Contender> make_eigen(int threads, const Matrices& in, clipon::DataType type);

/// "oneDNN 2.6.3, OpenBLAS 0.3.21, Eigen 3.4.0": those that were built in.
std::string contender_versions();

}  // namespace bench

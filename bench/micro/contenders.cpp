#include "micro/contenders.hpp"

#include <omp.h>

#include <Eigen/Core>
#include <clipon/nn/operand.hpp>
#include <random>

#if defined(BENCH_WITH_ONEDNN)
#include <dnnl.hpp>
#endif
#if defined(BENCH_WITH_OPENBLAS)
#include <cblas.h>
#endif

namespace bench {

namespace {

using clipon::AlignedBuffer;
using clipon::DataType;
using clipon::kernels::Operand;
using clipon::kernels::OperandRows;
using clipon::kernels::RowScale;

std::size_t count(index_t rows, index_t columns) {
  return static_cast<std::size_t>(rows * columns);
}

// As the towers use it: f32 from f32 and from integers of 16 bits; bf16 from bf16 and bytes.
class Clipon : public Contender {
 public:
  Clipon(const clipon::kernels::Context& context, const Matrices& in, DataType type, clipon::kernels::Rows pairing)
      : context_(context),
        shape_(in.shape),
        type_(clipon::kernels::operand_type(*context.kernels, type)),
        w_(context, {in.w.data(), nullptr, DataType::f32, shape_.n, shape_.k}, type, pairing),
        a_(count(shape_.m, clipon::kernels::padded_depth(type_, shape_.k)) * clipon::size_of(type_)),
        scales_(static_cast<std::size_t>(shape_.m)),
        out_(count(shape_.m, shape_.n)),
        out_bf16_(count(shape_.m, shape_.n)) {
    const OperandRows rows{a_.data(), clipon::kernels::padded_depth(type_, shape_.k), type_, scales_.data()};
    if (type_ == DataType::f32) {
      std::copy(in.a.begin(), in.a.end(), reinterpret_cast<float*>(a_.data()));
    } else {
      const Operand from{in.a.data(), shape_.k, DataType::f32, nullptr};
      context.kernels->quantise(from, shape_.m, shape_.k, rows);
    }
    operand_ = rows.read();
    if (w_.in_pairs()) {
      pair_memory_.resize(
          static_cast<std::size_t>(clipon::kernels::PairMemory::floats(context, w_, shape_.m, shape_.k)));
      context_.pair_memory = pair_memory_.data();
    }
  }
  [[nodiscard]] bool in_pairs() const { return w_.in_pairs(); }
  void run() override {
    clipon::kernels::Epilogue epilogue;
    epilogue.out = floats() ? out_.data() : nullptr;
    epilogue.out_bf16 = floats() ? nullptr : out_bf16_.data();
    epilogue.out_stride = shape_.n;
    clipon::kernels::gemm(context_, operand_, shape_.m, w_, epilogue);
  }
  [[nodiscard]] double result(index_t row, index_t column) const override {
    const std::size_t at = count(row, shape_.n) + static_cast<std::size_t>(column);
    return floats() ? double{out_.data()[at]} : double{clipon::bf16_to_float(out_bf16_.data()[at])};
  }

 private:
  [[nodiscard]] bool floats() const { return clipon::nn::rows_between(context_, type_) == DataType::f32; }

  clipon::kernels::Context context_;
  Shape shape_;
  DataType type_;
  clipon::kernels::PackedMatrix w_;
  AlignedBuffer<unsigned char> a_;
  std::vector<RowScale> scales_;
  std::vector<float> pair_memory_;
  AlignedBuffer<float> out_;
  AlignedBuffer<std::uint16_t> out_bf16_;
  Operand operand_;
};

#if defined(BENCH_WITH_ONEDNN)
// f32 from f32, bf16 from bf16, and f32 from bytes: without scales, so it does a little less than clipon.
class OneDnn : public Contender {
 public:
  OneDnn(int threads, const Matrices& in, DataType type)
      : shape_(in.shape), threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    using Tag = memory::format_tag;
    using Kind = memory::data_type;
    omp_set_num_threads(threads);
    const Kind a_kind = type == DataType::f32 ? Kind::f32 : type == DataType::bf16 ? Kind::bf16 : Kind::u8;
    const Kind w_kind = type == DataType::i8 ? Kind::s8 : a_kind;
    const Kind out_kind = type == DataType::bf16 ? Kind::bf16 : Kind::f32;
    const memory::dims a_size = {shape_.m, shape_.k};
    const memory::dims w_size = {shape_.k, shape_.n};
    const memory::dims out_size = {shape_.m, shape_.n};
    const dnnl::matmul::desc description({a_size, a_kind, Tag::ab}, {w_size, w_kind, Tag::any},
                                         {out_size, out_kind, Tag::ab});
    const dnnl::matmul::primitive_desc chosen(description, engine_);
    multiply_ = dnnl::matmul(chosen);
    const bool bytes = type == DataType::i8;  // of A in 0..1 and W in -1..1
    scale_ = bytes ? 255.0f * 127.0f : 1.0f;
    a_ = filled(in.a, {a_size, Kind::f32, Tag::ab}, {a_size, a_kind, Tag::ab}, bytes ? 255.0f : 1.0f);
    w_ = filled(in.w, {w_size, Kind::f32, Tag::ba}, chosen.weights_desc(), bytes ? 127.0f : 1.0f);
    out_ = memory({out_size, Kind::f32, Tag::ab}, engine_);
    typed_out_ = memory({out_size, out_kind, Tag::ab}, engine_);
  }
  void run() override {
    omp_set_num_threads(threads_);
    multiply_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, typed_out_}});
    stream_.wait();
  }
  [[nodiscard]] double result(index_t row, index_t column) const override {
    dnnl::memory out = out_;
    dnnl::memory typed = typed_out_;
    dnnl::stream stream(engine_);
    dnnl::reorder(typed, out).execute(stream, typed, out);
    stream.wait();
    const auto* values = static_cast<const float*>(out.get_data_handle());
    return double{values[count(row, shape_.n) + static_cast<std::size_t>(column)] / scale_};
  }

 private:
  dnnl::memory filled(const std::vector<float>& values, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                      float scale) {
    std::vector<float> scaled(values);
    for (float& x : scaled) x *= scale;
    dnnl::memory plain(from, engine_, scaled.data());
    dnnl::memory made(to, engine_);
    dnnl::reorder(plain, made).execute(stream_, plain, made);
    stream_.wait();
    return made;
  }

  Shape shape_;
  int threads_;
  float scale_ = 1.0f;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul multiply_;
  dnnl::memory a_;
  dnnl::memory w_;
  dnnl::memory out_;
  dnnl::memory typed_out_;
};
#endif

#if defined(BENCH_WITH_OPENBLAS)
class OpenBlas : public Contender {  // packs W at each call: its interface has no other way
 public:
  OpenBlas(int threads, const Matrices& in) : in_(in), threads_(threads), out_(count(in.shape.m, in.shape.n)) {}
  void run() override {
    openblas_set_num_threads(threads_);
    const auto& s = in_.shape;
    const auto m = static_cast<blasint>(s.m);
    const auto n = static_cast<blasint>(s.n);
    const auto k = static_cast<blasint>(s.k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, in_.a.data(), k, in_.w.data(), k, 0.0f,
                out_.data(), n);
  }
  [[nodiscard]] double result(index_t row, index_t column) const override {
    return double{out_.data()[count(row, in_.shape.n) + static_cast<std::size_t>(column)]};
  }

 private:
  const Matrices& in_;
  int threads_;
  AlignedBuffer<float> out_;
};
#endif

class EigenProduct : public Contender {  // packs W at each call, too
 public:
  EigenProduct(int threads, const Matrices& in) : in_(in), threads_(threads), out_(in.shape.m, in.shape.n) {}
  void run() override {
    Eigen::setNbThreads(threads_);
    const auto& s = in_.shape;
    const Eigen::Map<const RowMajor> a(in_.a.data(), s.m, s.k);
    const Eigen::Map<const RowMajor> w(in_.w.data(), s.n, s.k);
    out_.noalias() = a * w.transpose();
  }
  [[nodiscard]] double result(index_t row, index_t column) const override { return double{out_(row, column)}; }

 private:
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Matrices& in_;
  int threads_;
  RowMajor out_;
};

}  // namespace

Matrices make_matrices(const Shape& shape) {
  Matrices in{shape, std::vector<float>(count(shape.m, shape.k)), std::vector<float>(count(shape.n, shape.k))};
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
  for (float& x : in.a) x = uniform(random);
  for (float& x : in.w) x = 2.0f * uniform(random) - 1.0f;
  return in;
}

std::unique_ptr<Contender> make_clipon(const clipon::kernels::Context& context, const Matrices& in, DataType type,
                                       clipon::kernels::Rows rows) {
  const bool in_pairs = rows == clipon::kernels::Rows::in_pairs;
  if (in_pairs && in.shape.m % 2 != 0) return nullptr;
  auto contender = std::make_unique<Clipon>(context, in, type, rows);
  if (in_pairs && !contender->in_pairs()) return nullptr;
  return contender;
}

std::unique_ptr<Contender> make_onednn([[maybe_unused]] int threads, [[maybe_unused]] const Matrices& in,
                                       [[maybe_unused]] DataType type) {
#if defined(BENCH_WITH_ONEDNN)
  try {
    return std::make_unique<OneDnn>(threads, in, type);
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented) throw;
    return nullptr;  // bf16 where the CPU has AVX2 alone
  }
#else
  return nullptr;
#endif
}

std::unique_ptr<Contender> make_openblas([[maybe_unused]] int threads, [[maybe_unused]] const Matrices& in,
                                         [[maybe_unused]] DataType type) {
#if defined(BENCH_WITH_OPENBLAS)
  if (type == DataType::f32) return std::make_unique<OpenBlas>(threads, in);
#endif
  return nullptr;
}

std::unique_ptr<Contender> make_eigen(int threads, const Matrices& in, DataType type) {
  if (type != DataType::f32) return nullptr;
  return std::make_unique<EigenProduct>(threads, in);
}

std::string contender_versions() {
  std::string versions;
#if defined(BENCH_WITH_ONEDNN)
  const dnnl_version_t* v = dnnl_version();
  versions += "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
#endif
#if defined(BENCH_WITH_OPENBLAS)
  versions += (versions.empty() ? "" : ", ") + std::string(openblas_get_config());
#endif
  return versions + (versions.empty() ? "" : ", ") + "Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." +
         std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION);
}

}  // namespace bench

// Model: a loaded CLIP.  PUBLIC, layer 5.  Radford et al. 2021, figure 1 (2): two encoders into one space.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clipon/batch.hpp"
#include "clipon/format/mapped_file.hpp"
#include "clipon/image.hpp"
#include "clipon/models/registry.hpp"

namespace clipon::inline CLIPON_ABI {

// DontAlign: an aligned Eigen matrix is freed in another way under -mavx2 than without it, so units of different flags
// in one program could not hand it on; clipon's own code also fills these by pointer, never by an Eigen expression.
using Vector = Eigen::Matrix<float, Eigen::Dynamic, 1, Eigen::DontAlign>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor | Eigen::DontAlign>;
using ConstMatrixRef = Eigen::Ref<const Matrix>;
using MatrixRef = Eigen::Ref<Matrix>;

struct Prediction {
  std::string label;
  std::size_t index = 0;     ///< of the label in the caller's list
  float probability = 0.0f;  ///< softmax over the labels, at the model's own scale; multi-label: independent
  float cosine = 0.0f;       ///< of the picture's embedding and the label's
  float margin = 0.0f;       ///< cosine above the best other label's (of one alone: -1); multi-label: the background's
  bool chosen = false;  ///< the decision: the best label where no rule rejects it; multi-label: each that is likely
};

/// When the best label is rejected as unknown; ignored with multi_label.  The defaults reject only where a background
/// text is nearer.
struct RejectRules {
  float min_cosine = -2.0f;     ///< of the best label
  float min_margin = 0.0f;      ///< cosine of the best label above the second
  float min_background = 0.0f;  ///< cosine of the best label above the best background text, where there are any
};

struct ClassifyOptions {
  std::vector<std::string> templates = {"{}"};  ///< each {} becomes the label; several are averaged
  /// Texts that stand for anything else ("a photo", "something"), used as they are.  They take their part of the
  /// softmax; with multi_label, each label is weighed against them alone.
  std::vector<std::string> background = {};
  std::size_t top = 0;       ///< how many predictions to return; 0: all
  float temperature = 1.0f;  ///< divides the logits; above 1 is softer; 1e-6 to 1e30
  RejectRules reject = {};
  /// Each label for itself: probability = sigmoid(logit - log mean exp(background logits)), the softmax of the label
  /// against the background.  Without background texts, default_background() is taken.
  bool multi_label = false;
  float multi_label_threshold = 0.5f;  ///< probability from which a label is chosen
  TokenizeOptions tokenize = {};
  std::function<void(std::size_t, std::size_t)> progress =
      {};  ///< (texts done, texts in all) while labels are embedded
};

/// Immutable after loading: any number of threads may call it at once.  Cheap to copy; copies share the weights.
class Model {
 public:
  /// Throws Error, naming the file and what in it is wrong.
  [[nodiscard]] static Model load(const std::string& path, const LoadOptions& options = {}) {
    const format::MappedFile file(path, options.memory_map, "model file", options.max_file_bytes);
    Model model = detail::naming(path, [&] { return load_from_memory(file.bytes(), options); });
    file.drop_pages(model.context().threads);
    return model;
  }
  /// A model file that is in memory already; the bytes are not needed afterwards.
  [[nodiscard]] static Model load_from_memory(std::span<const std::byte> bytes, const LoadOptions& options = {});
  /// The small model for emoji, icons and clip art that comes with clipon.  The program must link clipon::demo_model.
  [[nodiscard]] static Model load_demo(const LoadOptions& options = {});

  /// picture -> unit vector [embed_dim].
  [[nodiscard]] Vector embed_image(const Image& image) const {
    Vector out(embed_dim());
    embed_images({&image, 1}, as_row(out));
    return out;
  }
  /// text -> unit vector [embed_dim].  Throws Error text_too_long or invalid_utf8.
  [[nodiscard]] Vector embed_text(std::string_view text, const TokenizeOptions& options = {}) const {
    BatchOptions batch;
    batch.tokenize = options;
    const std::string one(text);
    Vector out(embed_dim());
    embed_texts({&one, 1}, as_row(out), batch);
    return out;
  }

  /// n pictures -> [n, embed_dim], rows of unit length.  n may be 0.
  [[nodiscard]] Matrix embed_images(std::span<const Image> images, const BatchOptions& options = {}) const {
    Matrix out(static_cast<Eigen::Index>(images.size()), embed_dim());
    embed_images(images, out, options);
    return out;
  }
  /// The same into the caller's [n, embed_dim].  Throws Error invalid_argument for another shape.
  void embed_images(std::span<const Image> images, MatrixRef out, const BatchOptions& options = {}) const;
  [[nodiscard]] Matrix embed_images(std::initializer_list<Image> images, const BatchOptions& options = {}) const {
    return embed_images(std::span(images.begin(), images.size()), options);
  }
  /// The same two for picture files, decoded on the threads that embed them.
  [[nodiscard]] Matrix embed_image_files(std::span<const std::string> paths, const BatchOptions& options = {}) const {
    Matrix out(static_cast<Eigen::Index>(paths.size()), embed_dim());
    embed_image_files(paths, out, options);
    return out;
  }
  void embed_image_files(std::span<const std::string> paths, MatrixRef out, const BatchOptions& options = {}) const;
  [[nodiscard]] Matrix embed_image_files(std::initializer_list<std::string> paths,
                                         const BatchOptions& options = {}) const {
    return embed_image_files(std::span(paths.begin(), paths.size()), options);
  }

  /// n texts -> [n, embed_dim], rows of unit length.  n may be 0.
  [[nodiscard]] Matrix embed_texts(std::span<const std::string> texts, const BatchOptions& options = {}) const {
    Matrix out(static_cast<Eigen::Index>(texts.size()), embed_dim());
    embed_texts(texts, out, options);
    return out;
  }
  /// The same into the caller's [n, embed_dim].  Throws Error invalid_argument for another shape.
  void embed_texts(std::span<const std::string> texts, MatrixRef out, const BatchOptions& options = {}) const;
  [[nodiscard]] Matrix embed_texts(std::initializer_list<std::string> texts, const BatchOptions& options = {}) const {
    return embed_texts(std::span(texts.begin(), texts.size()), options);
  }

  /// Own preprocessing: floats [n, 3, image_size, image_size], planes of red, green and blue, each (value / 255 - mean)
  /// / std of preprocess_config() -> [n, embed_dim], rows of unit length.  Throws Error invalid_argument for another
  /// number of floats, not_finite.
  [[nodiscard]] Matrix embed_pixels(std::span<const float> pixels, std::size_t n,
                                    const BatchOptions& options = {}) const;
  void embed_pixels(std::span<const float> pixels, std::size_t n, MatrixRef out,
                    const BatchOptions& options = {}) const;

  /// What the image tower sees: RGB bytes [image_size, image_size, 3].  openai/CLIP clip/clip.py, _transform.
  [[nodiscard]] std::vector<std::uint8_t> preprocess(const Image& image) const;

  /// The picture against labels of the caller's choice; best first.  Throws Error invalid_argument when there are none.
  /// Defined in zero_shot.hpp: whoever calls it includes that, or clipon.hpp.
  [[nodiscard]] std::vector<Prediction> zero_shot_classify(const Image& image, const std::vector<std::string>& labels,
                                                           const ClassifyOptions& options = {}) const;

  [[nodiscard]] const text::Tokenizer& tokenizer() const { return shared_->parts.tokenizer; }
  [[nodiscard]] const models::FileInfo& info() const { return shared_->parts.info; }
  [[nodiscard]] const image::PreprocessConfig& preprocess_config() const { return shared_->parts.preprocess; }
  [[nodiscard]] Eigen::Index embed_dim() const { return shared_->parts.text.embed_dim(); }
  [[nodiscard]] Eigen::Index image_size() const { return shared_->parts.preprocess.size; }
  [[nodiscard]] Eigen::Index context_length() const { return shared_->parts.text.context_length(); }
  [[nodiscard]] float logit_scale() const { return shared_->parts.scoring.logit_scale; }
  [[nodiscard]] float logit_bias() const { return shared_->parts.scoring.logit_bias; }
  [[nodiscard]] Precision precision() const { return shared_->precision; }
  [[nodiscard]] Isa isa() const { return shared_->context.kernels->isa; }  ///< whose kernels run
  [[nodiscard]] int threads() const { return shared_->context.threads.count; }
  /// The kernels and threads that it computes with, for what is built on embeddings.
  [[nodiscard]] const kernels::Context& context() const { return shared_->context; }

 private:
  struct Shared {
    Shared(models::Parts built, std::unique_ptr<parallel::Workers> w, const kernels::Context& c, Precision p)
        : workers(std::move(w)),
          parts(std::move(built)),
          context(c),
          precision(p),
          normalisation(parts.preprocess.size, parts.preprocess.mean, parts.preprocess.std) {}
    std::unique_ptr<parallel::Workers> workers;
    models::Parts parts;
    kernels::Context context;
    Precision precision;
    models::Normalisation normalisation;
    mutable ScratchPool scratch;
  };

  explicit Model(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}

  static MatrixRef as_row(Vector& vector) { return Eigen::Map<Matrix>(vector.data(), 1, vector.size()); }

  // pictures(i) gives picture i, or throws.
  template <class Pictures>
  void embed_bytes(std::size_t n, MatrixRef out, const BatchOptions& options, const Pictures& pictures) const;

  std::shared_ptr<const Shared> shared_;
};

}  // namespace clipon::inline CLIPON_ABI

#include "clipon/demo_model.hpp"
#if CLIPON_BODIES
#include "clipon/model_calls.hpp"
#endif

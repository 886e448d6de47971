// Classification without training: labels become prototypes, a picture takes the nearest.  PUBLIC, layer 6.
// Radford et al. 2021, figure 1 (2) and (3), section 3.1.4 (prompt ensembles).
//
// zero_shot/templates.hpp    Label, fill_template, template_set, read_templates, read_labels
// zero_shot/ranking.hpp      Ranking: the best labels of many pictures as plain arrays
// zero_shot/calibration.hpp  RejectRule, RuleReport, auroc
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clipon/similarity.hpp"
#include "clipon/zero_shot/calibration.hpp"
#include "clipon/zero_shot/ranking.hpp"
#include "clipon/zero_shot/templates.hpp"

namespace clipon::inline CLIPON_ABI {

/// Labels x templates -> prototypes.  Any number of threads may call its const members at once.
class Classifier {
 public:
  /// In calibrate: the picture shows none of the labels.
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);

  /// Each label's prototype: its texts' unit vectors averaged, and that to unit length again.
  /// Throws Error invalid_argument: no labels, a label or synonym without words, no templates, a template without {}, a
  /// threshold or temperature out of range; text_too_long and invalid_utf8, naming the label.
  Classifier(const Model& model, std::vector<Label> labels, ClassifyOptions options = {})
      : model_(model), options_(std::move(options)) {
    if (options_.multi_label && options_.background.empty()) options_.background = default_background();
    check_options();
    if (labels.empty()) fail("labels: expected at least one, found none");
    Matrix prototypes = embed(labels, options_.background);
    set_prototypes(std::move(labels), std::move(prototypes));
  }
  Classifier(const Model& model, const std::vector<std::string>& labels, ClassifyOptions options = {})
      : Classifier(model, to_labels(labels), std::move(options)) {}
  /// Templates alone, in such forms that {.top = 1} and {} are options.
  template <std::same_as<std::vector<std::string>> Templates>
  Classifier(const Model& model, const std::vector<std::string>& labels, const Templates& templates)
      : Classifier(model, labels, with_templates(templates)) {}
  template <std::convertible_to<std::string> Template>
  Classifier(const Model& model, const std::vector<std::string>& labels, std::initializer_list<Template> templates)
      : Classifier(model, labels, with_templates({templates.begin(), templates.end()})) {}
  /// Lists in braces: two literals would also be a pair of iterators that make a vector.  (They do make a std::string,
  /// so a label's synonyms need braces of their own: {{"cat", {"kitten"}}, {"dog", {}}}.)
  Classifier(const Model& model, std::initializer_list<const char*> labels, ClassifyOptions options = {})
      : Classifier(model, std::vector<std::string>(labels.begin(), labels.end()), std::move(options)) {}
  Classifier(const Model& model, std::initializer_list<Label> labels, ClassifyOptions options = {})
      : Classifier(model, std::vector<Label>(labels), std::move(options)) {}

  [[nodiscard]] const std::vector<std::string>& labels() const { return names_; }
  /// [labels + background texts, embed_dim], unit rows.
  [[nodiscard]] const Matrix& prototypes() const { return prototypes_; }
  [[nodiscard]] const ClassifyOptions& options() const { return options_; }
  [[nodiscard]] const Model& model() const { return model_; }

  /// Best first.
  [[nodiscard]] std::vector<Prediction> classify(const Image& image) const {
    return std::move(classify(std::span<const Image>(&image, 1)).front());
  }
  /// One list a picture.
  [[nodiscard]] std::vector<std::vector<Prediction>> classify(std::span<const Image> images) const {
    return classify_embeddings(model_.embed_images(images));
  }
  [[nodiscard]] std::vector<std::vector<Prediction>> classify(std::initializer_list<Image> images) const {
    return classify(std::span(images.begin(), images.size()));
  }
  /// The same for embeddings [n, embed_dim] of unit length: `top` labels of each, 0: options().top; none of a row that
  /// is not finite, as a picture's that could not be read (BatchOptions::status).  Throws Error invalid_argument for
  /// another width.
  [[nodiscard]] std::vector<std::vector<Prediction>> classify_embeddings(const ConstMatrixRef& embeddings,
                                                                         std::size_t top = 0) const;
  /// The same as plain arrays, for many pictures.  A row that is not finite has cosines and probabilities of NaN, and
  /// labels that mean nothing.
  [[nodiscard]] Ranking rank(const ConstMatrixRef& embeddings, std::size_t top = 0) const;
  /// The share of rows whose nearest label is their class's, an index among labels().  Throws Error invalid_argument
  /// for another width, another number of classes.
  [[nodiscard]] double accuracy(const ConstMatrixRef& embeddings, std::span<const std::size_t> classes) const;

  /// Further labels, at the end of the list; the others' prototypes stay.
  void add_labels(const std::vector<Label>& labels);
  void add_labels(const std::vector<std::string>& labels) { add_labels(to_labels(labels)); }
  void add_labels(std::initializer_list<const char*> labels) { add_labels(to_labels({labels.begin(), labels.end()})); }
  void add_labels(std::initializer_list<Label> labels) { add_labels(std::vector<Label>(labels)); }
  /// Those that follow move up.  Throws Error invalid_argument for a name that is not there, and if none would be left.
  void remove_labels(const std::vector<std::string>& names);

  /// Throws Error invalid_argument for a threshold that is not finite.
  void set_reject(const RejectRules& rules) {
    check_rules(rules);
    options_.reject = rules;
  }

  /// Finds for each rule the lowest threshold at which the accepted answers are right with the wanted precision, and
  /// keeps that of the rule that accepts most (the others off).  truth [n]: each picture's label, or kUnknown; some
  /// pictures of no label make the thresholds mean something.  precision: above 0, at most 1.  Throws Error
  /// invalid_argument, also for multi_label.
  std::vector<RuleReport> calibrate(const ConstMatrixRef& embeddings, std::span<const std::size_t> truth,
                                    double precision);
  std::vector<RuleReport> calibrate(std::span<const Image> images, std::span<const std::size_t> truth,
                                    double precision) {
    return calibrate(model_.embed_images(images), truth, precision);
  }

  /// Labels, prototypes and options (of those of tokenizing only truncate), with the model's fingerprint.  Throws Error
  /// io, and limit_exceeded for what load would refuse: a label of over 1 MiB, over 2^20 of them, over 2 GiB in all.
  void save(const std::string& path) const;
  /// Throws Error: what a broken model file gives, and bad_value if a model of other weights made it.
  [[nodiscard]] static Classifier load(const Model& model, const std::string& path);

 private:
  explicit Classifier(const Model& model) : model_(model) {}

  [[noreturn]] static void fail(const std::string& why) { throw Error(ErrorCode::invalid_argument, why); }
  static ClassifyOptions with_templates(std::vector<std::string> templates) {
    ClassifyOptions options;
    options.templates = std::move(templates);
    return options;
  }
  static void check_rules(const RejectRules& rules);
  void check_options() const;
  void set_prototypes(std::vector<Label> labels, Matrix prototypes);  // all or nothing
  [[nodiscard]] Matrix embed(const std::vector<Label>& labels, const std::vector<std::string>& background) const;
  [[nodiscard]] bool accepts(const Ranking& ranking, std::size_t row) const;

  Model model_;
  ClassifyOptions options_;
  std::vector<Label> labels_;
  std::vector<std::string> names_;
  Matrix prototypes_;  // [labels + background, embed_dim]
  std::shared_ptr<const detail::PackedPrototypes> packed_;
};

}  // namespace clipon::inline CLIPON_ABI

#if CLIPON_BODIES
#include "clipon/zero_shot/classifier.hpp"
#include "clipon/zero_shot/classifier_file.hpp"
#endif

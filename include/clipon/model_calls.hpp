// The bodies of Model's calls on many items.  Layer 5; part of model.hpp, include that.
#pragma once

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "clipon/core/finish_row.hpp"
#include "clipon/kernels/select.hpp"
#include "clipon/model.hpp"
#include "clipon/models/precision.hpp"
#include "clipon/models/run_pass.hpp"

namespace clipon::inline CLIPON_ABI {

namespace detail {

/// Notes each item's fate, tells the progress, throws the first failure where nobody asked for a status.
class BatchReport {
 public:
  BatchReport(std::size_t n, const BatchOptions& options) : total_(n), options_(options) {
    if (options.status != nullptr) options.status->assign(n, {});
  }

  /// True if body() ended without Error; else item i has failed.
  template <class Body>
  bool attempt(std::size_t i, const Body& body) {
    try {
      body();
      return true;
    } catch (const Error& error) {
      if (options_.status == nullptr) throw;
      (*options_.status)[i] = {false, error.code(), error.what()};
      return false;
    }
  }
  /// check() of item i; then its features, the `row` [n], become an embedding.  NaN where either fails.
  template <class Check>
  void finish(std::size_t i, float* row, index_t n, const Check& check) {
    const auto embedding = [&] {
      check();
      finish_row(row, n, options_.normalize);
    };
    if (!attempt(i, embedding)) std::fill_n(row, n, kNan);
  }
  void finish(std::size_t i, float* row, index_t n) {
    finish(i, row, n, [] {});
  }
  void advance(index_t items) {
    if (!options_.progress || items == 0) return;
    const std::lock_guard lock(mutex_);
    done_ += static_cast<std::size_t>(items);
    options_.progress(done_, total_);
  }

 private:
  std::size_t total_;
  const BatchOptions& options_;
  std::mutex mutex_;
  std::size_t done_ = 0;
};

inline void check_output(const MatrixRef& out, std::size_t n, Eigen::Index embed_dim) {
  if (out.rows() != static_cast<Eigen::Index>(n) || out.cols() != embed_dim) {
    throw Error(ErrorCode::invalid_argument, "output matrix: expected [" + std::to_string(n) + ", " +
                                                 std::to_string(embed_dim) + "], found [" + std::to_string(out.rows()) +
                                                 ", " + std::to_string(out.cols()) + "]");
  }
}

inline void check_pixel_count(std::size_t floats, std::size_t n, index_t size) {
  const auto picture = static_cast<std::size_t>(size * size * 3);
  if (floats % picture == 0 && floats / picture == n) return;
  throw Error(ErrorCode::invalid_argument, "pixels: expected n x 3 x " + std::to_string(size) + " x " +
                                               std::to_string(size) + " floats, found " + std::to_string(floats) +
                                               " for n = " + std::to_string(n));
}

/// Throws Error not_finite.  Integer products would launder a NaN into an embedding that looks sound.
inline void check_pixels(std::span<const float> pixels) {
  if (!is_finite(pixels)) throw Error(ErrorCode::not_finite, "pixels: expected finite numbers, found NaN or infinity");
}

}  // namespace detail

CLIPON_BODY Model Model::load_from_memory(std::span<const std::byte> bytes, const LoadOptions& options) {
  const FloatingPointScope scope;
  const int threads = kernels::thread_count(options.threads);
  AlignedBuffer<std::byte> aligned;  // tensors are read in place, as the numbers that they hold
  if (!bytes.empty() && reinterpret_cast<std::uintptr_t>(bytes.data()) % format::kLeastAlignment != 0) {
    aligned = AlignedBuffer<std::byte>(bytes.size());
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    bytes = {aligned.data(), aligned.size()};
  }
  const auto& table = kernels::select_table(options.isa, options.precision != Precision::f32);
  auto workers = parallel::make_workers();
  const kernels::Context context{&table, {threads, nullptr, workers.get()}, options.profile};
  const format::Gguf file(bytes, options);
  const Precision precision = models::select_precision(options.precision, *context.kernels, file);
  const DataType type = kernels::product_type(precision);
  std::optional<models::Parts> parts;
  context.in_a_team([&](const kernels::Context& own) {  // for hundreds of short loops
    parts = models::build_parts(file, options, own, type, bytes.size());
  });
  return Model(std::make_shared<Shared>(*std::move(parts), std::move(workers), context, precision));
}

template <class Pictures>
void Model::embed_bytes(std::size_t n, MatrixRef out, const BatchOptions& options, const Pictures& pictures) const {
  const FloatingPointScope scope;
  detail::check_output(out, n, embed_dim());
  detail::BatchReport report(n, options);
  const auto& tower = shared_->parts.image;
  const index_t picture_bytes = image_size() * image_size() * 3;
  const auto passes = models::divide_pictures(context(), tower, n);
  models::for_each_pass(shared_->context, passes, [&](const kernels::Context& context, const models::Pass& pass) {
    AlignedBuffer<std::uint8_t> pixels(static_cast<std::size_t>(pass.count() * picture_bytes));
    Matrix rows(pass.count(), embed_dim());
    std::vector<char> good(static_cast<std::size_t>(pass.count()));
    parallel::parallel_for(context.threads, pass.count(), [&](index_t i) {
      const auto item = static_cast<std::size_t>(pass.first + i);
      std::uint8_t* target = pixels.data() + i * picture_bytes;
      const auto load = [&] {
        const Image picture = pictures(item);
        image::preprocess(*context.kernels, picture.pixels(), shared_->parts.preprocess, target);
      };
      good[static_cast<std::size_t>(i)] = report.attempt(item, load) ? 1 : 0;
      if (good[static_cast<std::size_t>(i)] == 0) std::memset(target, 0, static_cast<std::size_t>(picture_bytes));
    });
    const models::ImageInput input{pixels.data(), nullptr, image_size(), &shared_->normalisation};
    models::forward_images(context, tower, input, pass.count(), rows.data(), shared_->scratch);
    for (index_t i = 0; i < pass.count(); ++i) {
      float* row = rows.data() + i * embed_dim();
      const auto item = static_cast<std::size_t>(pass.first + i);
      if (good[static_cast<std::size_t>(i)] != 0) {
        report.finish(item, row, embed_dim());
      } else {
        std::fill_n(row, embed_dim(), kNan);
      }
      std::copy_n(row, embed_dim(), &out(pass.first + i, 0));
    }
    report.advance(pass.count());
  });
}

CLIPON_BODY void Model::embed_images(std::span<const Image> images, MatrixRef out, const BatchOptions& options) const {
  embed_bytes(images.size(), out, options, [&](std::size_t i) { return images[i]; });
}

CLIPON_BODY void Model::embed_image_files(std::span<const std::string> paths, MatrixRef out,
                                          const BatchOptions& options) const {
  embed_bytes(paths.size(), out, options, [&](std::size_t i) { return Image::read(paths[i], options.decode); });
}

CLIPON_BODY std::vector<std::uint8_t> Model::preprocess(const Image& image) const {
  const FloatingPointScope scope;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(image_size() * image_size() * 3));
  image::preprocess(*shared_->context.kernels, image.pixels(), shared_->parts.preprocess, pixels.data());
  return pixels;
}

CLIPON_BODY Matrix Model::embed_pixels(std::span<const float> pixels, std::size_t n,
                                       const BatchOptions& options) const {
  detail::check_pixel_count(pixels.size(), n, image_size());  // before memory is taken for them
  Matrix out(static_cast<Eigen::Index>(n), embed_dim());
  embed_pixels(pixels, n, out, options);
  return out;
}

CLIPON_BODY void Model::embed_pixels(std::span<const float> pixels, std::size_t n, MatrixRef out,
                                     const BatchOptions& options) const {
  detail::check_pixel_count(pixels.size(), n, image_size());
  const FloatingPointScope scope;
  detail::check_output(out, n, embed_dim());
  detail::BatchReport report(n, options);
  const auto& tower = shared_->parts.image;
  const index_t picture = image_size() * image_size() * 3;
  const auto passes = models::divide_pictures(context(), tower, n);
  models::for_each_pass(shared_->context, passes, [&](const kernels::Context& context, const models::Pass& pass) {
    const models::ImageInput input{nullptr, pixels.data() + pass.first * picture, image_size(), nullptr};
    Matrix rows(pass.count(), embed_dim());
    models::forward_images(context, tower, input, pass.count(), rows.data(), shared_->scratch);
    for (index_t i = 0; i < pass.count(); ++i) {
      float* row = rows.data() + i * embed_dim();
      const auto item = static_cast<std::size_t>(pass.first + i);
      const auto floats = static_cast<std::size_t>(picture);
      report.finish(item, row, embed_dim(), [&] { detail::check_pixels(pixels.subspan(item * floats, floats)); });
      std::copy_n(row, embed_dim(), &out(pass.first + i, 0));
    }
    report.advance(pass.count());
  });
}

CLIPON_BODY void Model::embed_texts(std::span<const std::string> texts, MatrixRef out,
                                    const BatchOptions& options) const {
  const FloatingPointScope scope;
  detail::check_output(out, texts.size(), embed_dim());
  detail::BatchReport report(texts.size(), options);
  const std::int32_t end = tokenizer().config().end_token_id;
  std::vector<std::vector<std::int32_t>> ids(texts.size());
  parallel::parallel_for(shared_->context.threads, static_cast<index_t>(texts.size()), [&](index_t i) {
    const auto item = static_cast<std::size_t>(i);
    report.attempt(item, [&] {
      ids[item] = tokenizer().tokenize(texts[item], options.tokenize);
      // The reference pools at the first end token, and a causal tower never looks further.
      ids[item].erase(std::find(ids[item].begin(), ids[item].end(), end) + 1, ids[item].end());
    });
  });
  std::vector<std::size_t> items;  // the texts that could be tokenized, sorted so that neighbours begin alike
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i].empty()) {
      std::fill_n(&out(static_cast<Eigen::Index>(i), 0), embed_dim(), kNan);
    } else {
      items.push_back(i);
    }
  }
  report.advance(static_cast<index_t>(ids.size() - items.size()));
  std::sort(items.begin(), items.end(), [&](std::size_t a, std::size_t b) { return ids[a] < ids[b]; });
  std::vector<models::TokenSpan> sorted;
  sorted.reserve(items.size());
  for (const std::size_t item : items) sorted.emplace_back(ids[item]);
  const models::TextBatch all(sorted, options.share_prefixes);
  const auto passes = models::divide_texts(context(), shared_->parts.text, all);
  models::for_each_pass(shared_->context, passes, [&](const kernels::Context& context, const models::Pass& pass) {
    Matrix rows(pass.count(), embed_dim());
    const models::TextBatch batch({sorted.data() + pass.first, static_cast<std::size_t>(pass.count())},
                                  options.share_prefixes);
    models::forward_texts(context, shared_->parts.text, batch, rows.data(), shared_->scratch);
    for (index_t i = 0; i < pass.count(); ++i) {
      const std::size_t item = items[static_cast<std::size_t>(pass.first + i)];
      float* row = rows.data() + i * embed_dim();
      report.finish(item, row, embed_dim());
      std::copy_n(row, embed_dim(), &out(static_cast<Eigen::Index>(item), 0));
    }
    report.advance(pass.count());
  });
}

}  // namespace clipon::inline CLIPON_ABI

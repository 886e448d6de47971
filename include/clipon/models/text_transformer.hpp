// The text tower.  Layer 4.  Radford et al. 2021, 2.4; openai/CLIP clip/model.py, CLIP.encode_text.
//
// Texts are not padded: under the causal mask nothing after the end-of-text token can change it.  Texts of different
// length lie one after the other and share each matrix product.  What neighbours begin with alike ("a photo of a ...")
// is computed once: under that mask the vectors of a token depend on the tokens before it alone, to the bit.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "clipon/models/build.hpp"
#include "clipon/models/config.hpp"
#include "clipon/models/passes.hpp"
#include "clipon/models/text_batch.hpp"
#include "clipon/nn/transformer.hpp"

namespace clipon::inline CLIPON_ABI::models {

class TextTransformer {
 public:
  using Config = TextConfig;

  struct Weights {
    AlignedBuffer<std::byte> token_bytes;     // the table as the file stores it: 49,408 rows would be 100 MB as floats
    std::vector<float> token_scale;           // [vocabulary] for int8, else empty
    kernels::StoredMatrix token_embedding;    // [vocabulary, width], of token_bytes
    std::vector<float> positional_embedding;  // [context, width]
    nn::Transformer transformer;
    nn::LayerNorm ln_final;
    nn::Linear projection;  // [embed_dim, width]
  };

  TextTransformer(const Config& config, Builder& build) : config_(config) {
    const auto& t = config.transformer;
    copy_token_embedding(build.weights.get_unchecked("t.token_embd.weight", {config.vocabulary, t.width}),
                         build.packing);
    weights_.positional_embedding =
        build.weights.get_vector("t.position_embd.weight", {config.context_length, t.width});
    weights_.transformer = build.transformer("t", t, true, Rows::single);
    weights_.ln_final = build.layer_norm("t.post_ln", t.width, t.layer_norm_epsilon);
    weights_.projection = build.linear("text_projection", config.embed_dim, t.width, DataType::f32, false);
  }

  [[nodiscard]] index_t embed_dim() const { return config_.embed_dim; }
  [[nodiscard]] index_t context_length() const { return config_.context_length; }

  /// Rows that text i of a batch takes in its pass: one where the text before it has them all, since the last block
  /// computes a row of each.
  static index_t rows_of(const TextBatch& batch, index_t i) {
    return std::max<index_t>(static_cast<index_t>(batch.text(i).size()) - batch.shared(i), 1);
  }
  /// 512 labels on Zen 4 at 256, 1,024 and 2,048 rows instead: 0.98, 1.00 and 1.01 of the rate in f32, 0.99, 1.00 and
  /// 0.99 in bf16, 1.00, 0.98 and 0.95 in int8.
  [[nodiscard]] PassRows pass_rows(const nn::Context& context) const {
    return {512, context.kernels->least_rows_alone(weights_.transformer.type())};
  }

  [[nodiscard]] index_t scratch_bytes(const nn::Context& context, const TextBatch& batch) const {
    const index_t width = config_.transformer.width;
    const index_t texts = batch.count();
    return Scratch::size_for<float>(batch.rows() * width) + Scratch::size_for<float>(texts * width) +
           Scratch::size_for<nn::Sequence>(texts) + Scratch::size_for<index_t>(texts) +
           Scratch::size_for<index_t>(batch.tokens()) +
           nn::TransformerScratch::bytes(context, weights_.transformer, std::max(batch.rows(), texts), texts,
                                         batch.longest());
  }

  /// Texts of one pass, each from its start token to its end-of-text token, at least one token and at most
  /// context_length -> out [texts, embed_dim], not normalised.
  void forward(const nn::Context& context, const TextBatch& batch, float* out, Scratch& scratch) const {
    const index_t width = config_.transformer.width;
    const index_t count = batch.count();
    const index_t rows = batch.rows();
    auto* x = scratch.take<float>(rows * width);              // [rows, width]
    auto* pooled = scratch.take<float>(count * width);        // [texts, width]
    auto* sequences = scratch.take<nn::Sequence>(count);      // [texts]
    auto* last_rows = scratch.take<index_t>(count);           // [texts]
    auto* text_rows = scratch.take<index_t>(batch.tokens());  // [tokens]: the row of each text's each token
    const nn::TransformerScratch buffers(context, weights_.transformer, std::max(rows, count), count, batch.longest(),
                                         scratch);

    index_t row = 0;
    const index_t* previous = nullptr;
    for (index_t i = 0; i < count; ++i) {
      const TokenSpan text = batch.text(i);
      const auto length = static_cast<index_t>(text.size());
      const index_t shared = batch.shared(i);
      std::copy_n(previous, shared, text_rows);
      sequences[i] = {row, length - shared, text_rows, length};
      for (index_t position = shared; position < length; ++position, ++row) {
        embed_token(context, text[static_cast<std::size_t>(position)], position, x + row * width);
        text_rows[position] = row;
      }
      last_rows[i] = text_rows[length - 1];
      previous = text_rows;
      text_rows += length;
    }
    const std::span all(sequences, static_cast<std::size_t>(count));
    nn::forward(context, weights_.transformer, x, rows, all, {last_rows, static_cast<std::size_t>(count)}, pooled,
                buffers);
    nn::forward(context, weights_.ln_final, pooled, count);
    nn::forward(context, weights_.projection, {pooled, width}, count, {out, config_.embed_dim});
  }

 private:
  // x = token embedding + positional embedding
  void embed_token(const nn::Context& context, std::int32_t token, index_t position, float* x) const {
    const index_t width = config_.transformer.width;
    const float* positional = weights_.positional_embedding.data() + position * width;
    context.kernels->widen(weights_.token_embedding, token, 0, width, x);
    for (index_t c = 0; c < width; ++c) x[c] += positional[c];
  }

  void copy_token_embedding(const format::UncheckedTensor& tensor, Packing& packing) {
    const kernels::StoredMatrix table = tensor.view;
    const index_t row_bytes = table.columns * static_cast<index_t>(size_of(table.type));
    weights_.token_bytes = AlignedBuffer<std::byte>(static_cast<std::size_t>(table.rows * row_bytes), Pages::huge);
    static constexpr index_t height = 64;  // rows, 64 KB of f16, that are still in L2 when they are copied
    packing.add({tensor}, height, [table, row_bytes, copy = weights_.token_bytes.data()](index_t group) {
      const index_t first = group * height;
      const index_t rows = std::min(height, table.rows - first);
      std::memcpy(copy + first * row_bytes, table.part(first, rows).data, static_cast<std::size_t>(rows * row_bytes));
    });
    if (table.scale != nullptr) weights_.token_scale.assign(table.scale, table.scale + table.rows);
    weights_.token_embedding = table;
    weights_.token_embedding.data = weights_.token_bytes.data();
    weights_.token_embedding.scale = weights_.token_scale.empty() ? nullptr : weights_.token_scale.data();
  }

  Config config_;
  Weights weights_;
};

}  // namespace clipon::inline CLIPON_ABI::models

// Attention with one query a sequence against its definition: every key and value computed, in double precision.
#include <clipon/kernels/reference.hpp>
#include <clipon/nn/single_query_attention.hpp>
#include <cmath>

#include "kernels/operands.hpp"
#include "kernels/tiles_in_cpp.hpp"
#include "nn/heads.hpp"

using namespace clipon;
using namespace clipon::nn;
namespace reference = clipon::kernels::reference;

namespace {

// Weights and biases of query, key and value, for widths whose products then have a variance of about 1.
struct Projections {
  std::vector<float> weight[3];  // [width, width]
  std::vector<float> bias[3];    // [width]

  Projections(support::Random& random, index_t width) {
    for (int k = 0; k < 3; ++k) {
      weight[k] =
          support::rounded(DataType::bf16, random.normals(width * width, 1.0f / std::sqrt(static_cast<float>(width))));
      bias[k] = random.normals(width, 0.5f);
    }
  }
  [[nodiscard]] SingleQueryAttention pack(const Context& context, index_t heads, DataType type) const {
    const auto width = static_cast<index_t>(bias[0].size());
    SingleQueryAttention attention;
    attention.query = {kernels::PackedMatrix(context, {weight[0].data(), nullptr, DataType::f32, width, width}, type),
                       bias[0]};
    support::pack_heads(context, attention, heads, weight[1], weight[2], bias[2], type);
    return attention;
  }
};

// Sequences of rows of their own, and every second one with rows of the one before as its beginning.
std::vector<Sequence> random_sequences(support::Random& random, index_t count, std::vector<index_t>& key_rows) {
  std::vector<Sequence> sequences;
  key_rows.reserve(static_cast<std::size_t>(count) * 200);  // so that pointers into it stay
  index_t first = 0;
  for (index_t s = 0; s < count; ++s) {
    const index_t own = random.whole(1, 60);
    const index_t shared = s % 2 == 1 ? random.whole(0, sequences.back().length) : 0;
    const index_t* rows = key_rows.data() + key_rows.size();
    for (index_t i = 0; i < shared; ++i) key_rows.push_back(sequences.back().first + i);
    for (index_t i = 0; i < own; ++i) key_rows.push_back(first + i);
    sequences.push_back({first, own, s % 2 == 1 ? rows : nullptr, shared + own});
    first += own;
  }
  return sequences;
}

}  // namespace

TEST_CASE(
    "attention of one query a sequence is that with all keys and values: every type, random shapes, every ISA and "
    "tiles") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    support::Random random(35);
    for (int round = 0; round < 18; ++round) {
      const DataType type = support::kProductTypes[round % 3];
      const index_t heads = random.whole(1, 5);
      const index_t width = heads * random.whole(1, 40);
      CAPTURE(heads);
      CAPTURE(width);
      const Context context{&table, {1 + round / 3 % 3}};
      const Projections projections(random, width);
      const SingleQueryAttention attention = projections.pack(context, heads, type);
      std::vector<index_t> key_rows;
      const index_t count = random.whole(1, 5);
      const auto sequences = random_sequences(random, count, key_rows);
      const index_t rows = sequences.back().first + sequences.back().length;
      const auto x = support::rounded(DataType::bf16, random.normals(rows * width));
      std::vector<float> last(static_cast<std::size_t>(count * width));  // each sequence asks with its last row
      index_t longest = 0;
      for (index_t s = 0; s < count; ++s) {
        const Sequence& sequence = sequences[static_cast<std::size_t>(s)];
        std::copy_n(x.data() + (sequence.first + sequence.length - 1) * width, width, last.data() + s * width);
        longest = std::max(longest, sequence.keys);
      }

      Scratch scratch;
      scratch.reset(SingleQueryScratch::bytes(context, attention, count, longest) +
                    operand_bytes(attention.query.type(), count, width) + operand_bytes(attention.type(), rows, width));
      const SingleQueryScratch buffers(context, attention, count, longest, scratch);
      const OperandRows tokens = take_operand(scratch, attention.query.type(), count, width);
      const OperandRows positions = take_operand(scratch, attention.type(), rows, width);
      std::vector<float> found(static_cast<std::size_t>(count * width));
      attend(context, attention,
             as_operand(context, {last.data(), width}, count, width, attention.query.type(), tokens),
             as_operand(context, {x.data(), width}, rows, width, attention.type(), positions), sequences,
             {found.data(), width, DataType::f32, nullptr}, buffers);

      // A score errs as the query does, whose numbers have a variance of 1, as keys do; a value as its weights, which
      // are exponentials of scores. bf16 rounds queries, those through K^T, weights, mixtures; bytes have 255 steps in
      // a row of 8 deviations and 127 in 4.5 of the weights, and the error is anywhere within a step.
      const double rounded =
          attention.type() == DataType::f32 ? 0x1p-24 * std::sqrt(static_cast<double>(width)) : 0x1p-9;
      const double bytes = is_integer(type) ? std::hypot(8.0 / 255, 4.5 / 127) / std::sqrt(12.0) : 0.0;
      const double query = type == DataType::bf16 ? std::hypot(rounded, 0x1p-9) : rounded;
      const double limit = 6 * std::hypot(query, bytes, 2 * rounded);
      for (index_t s = 0; s < count; ++s) {
        const Sequence& sequence = sequences[static_cast<std::size_t>(s)];
        std::vector<float> seen;
        for (index_t i = 0; i < sequence.keys; ++i) {
          const index_t row = sequence.key_rows == nullptr ? sequence.first + i : sequence.key_rows[i];
          seen.insert(seen.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
        }
        const auto& p = projections;
        const auto expected =
            reference::attention_of_token(seen.data(), sequence.keys - 1, sequence.keys, width, heads,
                                          {p.weight[0].data(), p.weight[1].data(), p.weight[2].data()},
                                          {p.bias[0].data(), p.bias[1].data(), p.bias[2].data()});
        for (index_t o = 0; o < width; ++o) {
          const double error =
              double{found[static_cast<std::size_t>(s * width + o)]} - expected[static_cast<std::size_t>(o)];
          REQUIRE(std::fabs(error) <= limit);
        }
      }
    }
  });
}

TEST_CASE("attention is computed in f32 and, where a product takes it, in bf16; other rows are refused, on every ISA") {
  support::for_each_isa_and_tiles([](const kernels::KernelTable& table) {
    const Context context{&table, {1}};
    const std::vector<float> zeros(32);
    std::vector<float> found;
    Scratch scratch;
    scratch.reset(AttentionScratch::bytes(context, 16, 1));
    const AttentionScratch memory(context, 16, 1, scratch);
    const auto attend_to = [&](DataType type) {
      found.assign(16, 1.0f);
      const Operand row{zeros.data(), 16, type};
      compute_heads(context, 1, memory, [&](index_t) {
        return kernels::AttentionHead{row, row, row, nullptr, {found.data(), 16}, 1, 1, 16};
      });
    };
    for (const DataType type : {DataType::f32, DataType::f16, DataType::bf16, DataType::i8, DataType::i16}) {
      if (type == DataType::f32 || type == table.bf16_runs_as) {
        attend_to(type);
        CHECK(found == std::vector<float>(16, 0.0f));
      } else {
        CHECK(support::code_of([&] { attend_to(type); }) == ErrorCode::unsupported);
      }
    }
  });
}

TEST_CASE("attention of many queries: each head has its columns and the scale of its width, each sequence its rows") {
  support::for_each_isa([](const kernels::KernelTable& table) {
    support::Random random(64);
    const Context context{&table, {2}};
    const index_t head_width = 5;
    const index_t heads = 3;
    const index_t width = heads * head_width;
    const index_t rows = 9;
    const std::vector<float> zeros(static_cast<std::size_t>(3 * width * width));
    AttentionWeights weights;
    weights.query_key_value.weight =
        kernels::PackedMatrix(context, {zeros.data(), nullptr, DataType::f32, 3 * width, width});
    weights.heads = heads;
    weights.causal = true;
    const auto x = random.normals(rows * 3 * width);
    const index_t key_rows[] = {0, 1, 4, 5, 6, 7, 8};
    const Sequence sequences[] = {{0, 4, nullptr, 4}, {4, 5, key_rows, 7}};
    Scratch scratch;
    scratch.reset(AttentionScratch::bytes(context, head_width, 7));
    std::vector<float> found(static_cast<std::size_t>(rows * width));
    attend(context, weights, {x.data(), 3 * width}, sequences, {found.data(), width},
           AttentionScratch(context, head_width, 7, scratch));
    std::vector<float> expected(found.size());
    for (const Sequence& sequence : sequences) {
      for (index_t column = 0; column < width; column += head_width) {
        kernels::AttentionHead head;
        head.queries = sequence.length;
        head.keys = sequence.keys;
        head.key_rows = sequence.key_rows;
        head.head_width = head_width;
        head.causal = true;
        head.scale = 1.0f / std::sqrt(5.0f);
        head.q = {x.data() + sequence.first * 3 * width + column, 3 * width};
        head.k = {x.data() + width + column, 3 * width};
        head.v = {x.data() + 2 * width + column, 3 * width};
        head.out = {expected.data() + sequence.first * width + column, width};
        reference::attention_head(head);
      }
    }
    // scores below 30 known to 8 epsilon, so the weights to 3e-5 relative at most; values below 4
    for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(std::fabs(double{found[i]} - double{expected[i]}) <= 1e-4);
  });
}

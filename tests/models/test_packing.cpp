#include <algorithm>
#include <clipon/kernels/select.hpp>
#include <clipon/models/packing.hpp>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "model_file.hpp"
#include "support.hpp"

using namespace clipon;
using kernels::Rows;

namespace {

constexpr index_t kColumns = 300;  // a row's bytes are no multiple of a cache line
const std::map<std::string, index_t> kRows = {{"a", 7}, {"b", 150}, {"c", 1}, {"d", 60}};

support::ModelFile sealed_file() {
  support::ModelFile file;
  support::Random random(5);
  for (const auto& [name, rows] : kRows) {
    file.tensor(name, {static_cast<std::uint64_t>(rows), kColumns}, random.normals(rows * kColumns));
  }
  return file.seal();
}

// The tensors a, b and c as one matrix and d as another.
std::vector<kernels::PackedMatrix> packed(const support::ModelFile& made, Rows a, int threads) {
  const auto bytes = made.bytes();
  const format::Gguf file(bytes, {});
  format::Weights weights(file, {});
  const kernels::Context context{&kernels::select_table(Isa::best), {threads}};
  const auto tensor = [&](const std::string& name) { return weights.get_unchecked(name, {kRows.at(name), kColumns}); };
  models::Packing packing;
  std::vector<kernels::PackedMatrix> matrices;
  matrices.push_back(packing.add_matrix(context, {tensor("a"), tensor("b"), tensor("c")}, kColumns, DataType::f32, a));
  matrices.push_back(packing.add_matrix(context, {tensor("d")}, kColumns, DataType::f32, a));
  packing.run(context.threads, weights);
  return matrices;
}

std::string message_of(const support::ModelFile& made, int threads) {
  try {
    (void)packed(made, Rows::single, threads);
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("matrices that are packed together are those of their tensors, in order") {
  const support::ModelFile file = sealed_file();
  const std::string data[] = {file.tensors[0].data + file.tensors[1].data + file.tensors[2].data, file.tensors[3].data};
  const kernels::Context context{&kernels::select_table(Isa::best), {1}};
  for (const Rows a : {Rows::single, Rows::in_pairs}) {
    for (const int threads : {1, 3}) {
      const auto found = packed(file, a, threads);
      REQUIRE(found.size() == 2);
      for (std::size_t i = 0; i < 2; ++i) {
        std::vector<float> values(data[i].size() / 4);
        std::memcpy(values.data(), data[i].data(), data[i].size());
        const auto rows = static_cast<index_t>(values.size()) / kColumns;
        const kernels::StoredMatrix stored{values.data(), nullptr, DataType::f32, rows, kColumns};
        const kernels::PackedMatrix expected(context, stored, DataType::f32, a);
        REQUIRE(found[i].rows() == rows);
        REQUIRE(found[i].bytes() == expected.bytes());
        CHECK(std::memcmp(found[i].block_from(0).panels, expected.block_from(0).panels, expected.bytes()) == 0);
      }
    }
  }
}

TEST_CASE("what is wrong in a matrix is named by its tensor, the first of those that are") {
  const support::ModelFile good = sealed_file();
  CHECK(message_of(good, 2).empty());
  for (std::size_t t = 0; t < good.tensors.size(); ++t) {
    const std::string tensor = "tensor '" + good.tensors[t].name + "': ";
    for (const std::size_t at : {std::size_t{0}, good.tensors[t].data.size() / 2, good.tensors[t].data.size() - 1}) {
      CAPTURE(t);
      CAPTURE(at);
      support::ModelFile damaged = good;
      damaged.tensors[t].data[at] ^= 1;
      damaged.tensors.back().data[1] ^= 1;
      const std::string message = message_of(damaged, 2);
      CHECK(message.starts_with("checksum_mismatch: " + tensor));
    }
    support::ModelFile both = good;  // of one matrix
    both.tensors[1].data[9] ^= 1;
    both.tensors[std::min<std::size_t>(t, 2)].data[2] ^= 1;
    const std::string first = message_of(both, 3);
    CHECK(first.starts_with("checksum_mismatch: tensor '" + good.tensors[std::min<std::size_t>(t, 1)].name + "': "));
    support::ModelFile infinite = good;
    infinite.tensors[t].data.replace(infinite.tensors[t].data.size() - 4, 4, std::string("\0\0\x80\x7f", 4));
    const std::string message = message_of(infinite.seal(), 2);
    CHECK(message.starts_with("not_finite: " + tensor));
  }
}

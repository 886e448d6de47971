#include <clipon/kernels/gemm.hpp>
#include <clipon/kernels/reference.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "product_checks.hpp"

using namespace clipon;
using namespace clipon::kernels;

TEST_CASE("gemm agrees with the definition: random shapes, types, epilogues, threads, every ISA") {
  support::for_each_isa([](const KernelTable& table) { support::check_products(table, support::kProductTypes, 90); });
}

TEST_CASE("a row of a product is the same bits alone, in a batch and at any thread count") {
  support::for_each_isa([](const KernelTable& table) { support::check_rows_alone(table, support::kProductTypes); });
}

TEST_CASE("int8 products are the same bits on every ISA") {
  const index_t m = 21;
  const index_t n = 101;
  const index_t k = 333;
  std::vector<float> expected;
  support::for_each_isa([&](const KernelTable& table) {
    support::Random random(13);
    const support::RandomRows rows(table, random, table.int8_runs_as, m, k);
    const support::RandomWeights weights(random, table.int8_runs_as, n, k);
    const Context context{&table, {1}};
    std::vector<float> found(static_cast<std::size_t>(m * n));
    Epilogue epilogue;
    epilogue.out = found.data();
    epilogue.out_stride = n;
    gemm(context, rows.read(), m, PackedMatrix(context, weights.stored, table.int8_runs_as), epilogue);
    if (expected.empty()) expected = found;
    CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
  });
}

TEST_CASE("a product refuses rows of another type than its own instead of leaving its outputs as they were") {
  support::for_each_isa([](const KernelTable& table) {
    const Context context{&table, {1}};
    const std::vector<float> values(64, 1.0f);
    const StoredMatrix w{values.data(), nullptr, DataType::f32, 2, 32};
    float found[4] = {};
    for (const DataType type : support::kProductTypes) {
      const PackedMatrix packed(context, w, type);
      for (const DataType other : {DataType::f32, DataType::f16, DataType::bf16, DataType::i8, DataType::i16}) {
        if (other == packed.type()) continue;
        CHECK(support::code_of([&] {
                gemm(context, {values.data(), 32, other}, 2, packed, store_to(found, 2, DataType::f32));
              }) == ErrorCode::unsupported);
      }
    }
  });
}

TEST_CASE("weights of every stored type are widened and packed exactly") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(9);
    const index_t rows = 50;
    const index_t columns = 71;
    std::vector<std::uint16_t> halves(static_cast<std::size_t>(rows * columns));
    for (auto& h : halves) h = static_cast<std::uint16_t>(random.whole(0, 0x7bff));  // finite in f16 and in bf16
    std::vector<std::int8_t> bytes(halves.size());
    for (auto& b : bytes) b = static_cast<std::int8_t>(random.whole(-127, 127));
    const auto scale = random.normals(rows);
    const StoredMatrix stored[] = {{halves.data(), nullptr, DataType::f16, rows, columns},
                                   {halves.data(), nullptr, DataType::bf16, rows, columns},
                                   {bytes.data(), scale.data(), DataType::i8, rows, columns}};
    for (const StoredMatrix& w : stored) {
      std::vector<float> wide(static_cast<std::size_t>(columns));
      for (index_t r = 0; r < rows; ++r) {
        table.widen(w, r, 0, columns, wide.data());
        for (index_t c = 0; c < columns; ++c) {
          REQUIRE(wide[static_cast<std::size_t>(c)] == reference::element(w, r, c));
        }
      }
      const PackedMatrix packed(Context{&table, {1}}, w);
      const index_t nr = packed.panel_rows();
      for (index_t r = 0; r < rows; ++r) {
        const auto* panel = static_cast<const float*>(packed.block_from(r / nr * nr).panels);
        for (index_t c = 0; c < columns; ++c) REQUIRE(panel[c * nr + r % nr] == reference::element(w, r, c));
      }
    }
  });
}

TEST_CASE("matrices one above the other are packed as the one that they make up") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(14);
    const index_t columns = 130;  // more than a block of them, and no whole number of steps
    const auto values = random.normals(90 * columns);
    const StoredMatrix whole{values.data(), nullptr, DataType::f32, 90, columns};
    std::vector<StoredMatrix> parts;  // none of them ends where a panel does
    index_t first = 0;
    for (const index_t rows : {7, 50, 1, 32}) {
      parts.push_back({values.data() + first * columns, nullptr, DataType::f32, rows, columns});
      first += rows;
    }
    const Context context{&table, {2}};
    for (const DataType type : support::kProductTypes) {
      const support::RandomRows rows(table, random, type, 3, columns);
      const auto product = [&](const PackedMatrix& w) {
        std::vector<float> out(3 * 90, NAN);
        REQUIRE(w.rows() == 90);
        gemm(context, rows.read(), 3, w, store_to(out.data(), 90, DataType::f32));
        return out;
      };
      const std::vector<float> expected = product(PackedMatrix(context, whole, type));
      CHECK(is_finite(expected));
      PackedMatrix found(context, 90, columns, type, Rows::single);
      for (index_t group = found.groups(); group-- > 0;) found.pack(table, {parts.data(), 4}, group);
      CHECK((product(found) == expected));
    }
  });
}

TEST_CASE("each matrix of a stack has its own type and scales") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(15);
    const index_t columns = 70;
    std::vector<std::uint16_t> halves(static_cast<std::size_t>(20 * columns));
    for (auto& h : halves) h = static_cast<std::uint16_t>(random.whole(0x3000, 0x3fff));
    std::vector<std::int8_t> bytes(halves.size());
    for (auto& b : bytes) b = static_cast<std::int8_t>(random.whole(-127, 127));
    const std::vector<float> scale(20, 0.5f);
    const StoredMatrix parts[] = {{halves.data(), nullptr, DataType::f16, 20, columns},
                                  {bytes.data(), scale.data(), DataType::i8, 20, columns},
                                  {halves.data(), nullptr, DataType::bf16, 20, columns}};
    const Context context{&table, {1}};
    PackedMatrix packed(context, 60, columns, DataType::f32, Rows::single);
    for (index_t group = 0; group < packed.groups(); ++group) packed.pack(table, {parts, 3}, group);
    const index_t nr = packed.panel_rows();
    for (index_t r = 0; r < 60; ++r) {
      const auto* panel = static_cast<const float*>(packed.block_from(r / nr * nr).panels);
      for (index_t c = 0; c < columns; ++c) {
        REQUIRE(panel[c * nr + r % nr] == reference::element(parts[r / 20], r % 20, c));
      }
    }
    const PackedMatrix integers(context, parts[1], table.int8_runs_as);  // their scales are kept, whatever the bytes
    for (index_t r = 0; r < 20; ++r) {
      const GemmBlock block = integers.block_from(r / nr * nr);
      CHECK(block.column_scale[r % nr] == 0.5f);
      CHECK(block.column_sum[r % nr] ==
            std::accumulate(bytes.begin() + r * columns, bytes.begin() + (r + 1) * columns, 0));
    }
  });
}

TEST_CASE("a scale whose numbers overflow is NaN, not the greatest byte's") {
  support::for_each_isa([](const KernelTable& table) {
    const std::vector<std::int8_t> bytes(64, 100);
    const float scales[] = {0x1p120f, 1e37f, INFINITY};
    const StoredMatrix w{bytes.data(), scales, DataType::i8, 3, 20};
    const PackedMatrix packed(Context{&table, {1}}, w, table.int8_runs_as);
    const GemmBlock block = packed.block_from(0);
    CHECK(block.column_scale[0] == 0x1p120f);
    CHECK(is_nan(block.column_scale[1]));
    CHECK(is_nan(block.column_scale[2]));
  });
}

TEST_CASE("float weights become bytes near their row's scale, and the errors of a row cancel") {
  support::for_each_isa([](const KernelTable& table) {
    support::Random random(10);
    const index_t rows = 30;
    const index_t columns = 256;
    auto values = random.normals(rows * columns);
    for (index_t c = 0; c < columns; ++c) values[static_cast<std::size_t>(7 * columns + c)] = 0.0f;  // a dead output
    const StoredMatrix w{values.data(), nullptr, DataType::f32, rows, columns};
    const PackedMatrix packed(Context{&table, {1}}, w, table.int8_runs_as);
    const index_t nr = packed.panel_rows();
    const index_t step = (table.isa == Isa::neon_i8mm ? 2 : 1) * k_step(table.int8_runs_as);
    for (index_t r = 0; r < rows; ++r) {
      const GemmBlock block = packed.block_from(r / nr * nr);
      const float scale = block.column_scale[r % nr];
      float greatest = 0.0f;
      std::int32_t sum = 0;
      double error = 0.0;
      index_t changed = 0;
      for (index_t c = 0; c < columns; ++c) {
        const float x = reference::element(w, r, c);
        const index_t at = ((panel_head(table.int8_runs_as) + c / step) * nr + r % nr) * step + c % step;
        const int byte = table.int8_runs_as == DataType::i8 ? static_cast<const std::int8_t*>(block.panels)[at]
                                                            : static_cast<const std::int16_t*>(block.panels)[at];
        const double left_out = double{x} - double{scale} * byte;
        REQUIRE(std::fabs(left_out) <= 0.80001 * double{scale});  // half a step, or rounded the other way from 0.2
        changed += std::fabs(left_out) > 0.50001 * double{scale} ? 1 : 0;
        error += left_out;
        greatest = std::max(greatest, std::fabs(x));
        sum += byte;
      }
      CHECK(std::fabs(scale - greatest / 127.0f) <= 1e-6f * scale);
      CHECK(block.column_sum[r % nr] == static_cast<float>(sum));
      CHECK(std::fabs(error) <= 0.501 * double{scale});
      CHECK(changed <= 19);  // four deviations of a sum of 256 errors anywhere within half a step
    }
  });
}

TEST_CASE("weights whose errors are alike are rounded the other way from a fifth of a step only") {
  support::for_each_isa([](const KernelTable& table) {
    constexpr index_t columns = 200;
    for (const float sign : {-1.0f, 1.0f}) {
      std::vector<float> values(columns, sign * 10.15f);
      values[0] = 127.0f;  // a step is 1
      const PackedMatrix packed(Context{&table, {1}}, {values.data(), nullptr, DataType::f32, 1, columns},
                                DataType::i8);
      CHECK(packed.block_from(0).column_sum[0] == 127.0f + sign * 10.0f * (columns - 1));
    }
  });
}

TEST_CASE("weights of more inputs than a 32-bit sum of bytes holds are refused") {
  support::for_each_isa([](const KernelTable& table) {
    const Context context{&table, {1}};
    for (const index_t columns : {65793, 65794}) {
      const std::vector<float> values(static_cast<std::size_t>(columns), 1.0f);
      const StoredMatrix w{values.data(), nullptr, DataType::f32, 1, columns};
      const auto pack = [&] { const PackedMatrix packed(context, w, table.int8_runs_as); };
      if (columns == 65793) {
        CHECK_NOTHROW(pack());
      } else {
        CHECK(support::code_of(pack) == ErrorCode::limit_exceeded);
      }
    }
  });
}

TEST_CASE("a block of rows is whole tiles of them, one at least, however wide they are") {
  support::for_each_isa([](const KernelTable& table) {
    for (const DataType type : support::kProductTypes) {
      const DataType operand = operand_type(table, type);
      const index_t tile = table.gemm_rows(operand);
      for (const index_t columns : {1, 300, 1 << 22}) CHECK(block_rows(table, columns, operand) % tile == 0);
      CHECK(block_rows(table, 1 << 22, operand) == tile);
    }
  });
}

// search and duplicate_groups: the public calls on stored vectors.
#include <clipon/core/finish_row.hpp>
#include <clipon/search.hpp>
#include <cmath>
#include <cstdlib>

#include "embeddings.hpp"
#include "support.hpp"

using namespace clipon;

namespace {

double dot(const Matrix& a, Eigen::Index row, const Vector& b) {
  double sum = 0.0;
  for (Eigen::Index i = 0; i < a.cols(); ++i) sum += double{a(row, i)} * double{b(i)};
  return sum;
}

}  // namespace

TEST_CASE("search finds the best of all rows, the same at any number of threads") {
  support::Random random(41);
  const Matrix rows = support::unit_rows(random, 20000, 96);
  const Vector query = support::unit_rows(random, 1, 96).row(0).transpose();
  for (const DataType type : {DataType::f32, DataType::f16, DataType::i8}) {
    CAPTURE(to_string(type));
    StoredVectors store(type, 96);
    store.append(rows.topRows(7000));
    store.append(rows.bottomRows(13000));
    REQUIRE(store.view().rows == 20000);
    SearchOptions options;
    options.top = 20;
    options.threads = 1;
    const auto one = search(store.view(), query, options);
    REQUIRE(one.size() == 20);
    // Unit rows: float16 is off by 2^-11 of each term, whose sizes add up to 1 at most (Cauchy-Schwarz); int8 by half a
    // step, 1/254, of each, times the query's sizes, which add up to sqrt(96) at most; float32 by rounding alone.
    const double limit = type == DataType::f32   ? 96 * 0x1p-24
                         : type == DataType::f16 ? 0x1p-11 + 96 * 0x1p-24
                                                 : std::sqrt(96.0) / 254.0;
    std::vector<bool> answered(20000);
    for (std::size_t i = 0; i < one.size(); ++i) {
      answered[one[i].row] = true;
      CHECK(std::fabs(double{one[i].score} - dot(rows, static_cast<Eigen::Index>(one[i].row), query)) <= limit);
      if (i > 0) CHECK(one[i - 1].score >= one[i].score);
    }
    for (Eigen::Index r = 0; r < rows.rows(); ++r) {
      if (dot(rows, r, query) > double{one.back().score} + limit) CHECK(answered[static_cast<std::size_t>(r)]);
    }
    for (const int threads : {2, 3, 8}) {
      options.threads = threads;
      const auto more = search(store.view(), query, options);
      REQUIRE(more.size() == one.size());
      for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK(more[i].row == one[i].row);
        CHECK(more[i].score == one[i].score);
      }
    }
  }
}

TEST_CASE("search: no rows, fewer rows than asked for, a row that failed, arguments that make no sense") {
  support::Random random(42);
  Matrix rows = support::unit_rows(random, 5, 8);
  rows(2, 3) = std::bit_cast<float>(0x7fc00000u);
  const Vector query = support::unit_rows(random, 1, 8).row(0).transpose();
  for (const DataType type : {DataType::f32, DataType::f16, DataType::i8}) {
    StoredVectors store(type, 8);
    CHECK(search(store.view(), query).empty());
    store.append(rows);
    const auto found = search(store.view(), query);
    CHECK(found.size() == 4);
    for (const Match& match : found) CHECK(match.row != 2);
    SearchOptions how;
    how.top = 3;
    CHECK(search(store.view(), query, how).size() == 3);
    how.top = 0;
    CHECK(search(store.view(), query, how).size() == 4);
    for (const Eigen::Index width : {7, 9}) {
      CHECK(support::code_of([&] { (void)search(store.view(), Vector(width)); }) == ErrorCode::invalid_argument);
    }
    CHECK(support::code_of([&] { store.append(Matrix(1, 9)); }) == ErrorCode::invalid_argument);
  }
  CHECK(support::code_of([&] { (void)search({nullptr, DataType::f32, 5, 8}, query); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([] { StoredVectors(DataType::bf16, 8); }) == ErrorCode::invalid_argument);
  for (const int threads : {-1, kMaxThreads + 1}) {
    SearchOptions how;
    how.threads = threads;
    const VectorsView view{rows.data(), DataType::f32, 5, 8};
    CHECK(support::code_of([&] { (void)search(view, query, how); }) == ErrorCode::invalid_argument);
    CHECK(support::code_of([&] { (void)duplicate_groups(view, 0.5f, how); }) == ErrorCode::invalid_argument);
  }
  StoredVectors store(DataType::f32, 8);
  store.append(rows);
  const auto usable = kernels::usable_isas();
  for (int i = 0; i < static_cast<int>(Isa::best); ++i) {
    SearchOptions how;
    how.isa = static_cast<Isa>(i);
    if (std::find(usable.begin(), usable.end(), how.isa) != usable.end()) {
      CHECK(search(store.view(), query, how).size() == 4);
    } else {
      CHECK(support::code_of([&] { (void)search(store.view(), query, how); }) == ErrorCode::unsupported);
    }
  }
}

TEST_CASE("rows are stored as the halves that are nearest to them") {
  support::Random random(46);
  const Matrix rows = support::unit_rows(random, 1, 64);
  StoredVectors store(DataType::f16, 64);
  store.append(rows);
  const auto* halves = static_cast<const std::uint16_t*>(store.view().data);
  for (Eigen::Index i = 0; i < 64; ++i) CHECK(halves[i] == float_to_f16(rows(0, i)));
}

TEST_CASE("int8 rows use the whole range and keep the rest of a unit row's direction") {
  support::Random random(43);
  const Matrix rows = support::unit_rows(random, 1, 512);
  StoredVectors store(DataType::i8, 512);
  store.append(rows);
  const auto* bytes = static_cast<const std::int8_t*>(store.view().data);
  CHECK(*std::max_element(bytes, bytes + 512, [](int a, int b) { return std::abs(a) < std::abs(b); }) != 0);
  int largest = 0;
  for (int i = 0; i < 512; ++i) largest = std::max(largest, std::abs(int{bytes[i]}));
  CHECK(largest == 127);
  for (Eigen::Index i = 0; i < 512; ++i) {
    const double back = double{store.view().scale[0]} * bytes[i];
    CHECK(std::fabs(back - double{rows(0, i)}) <= 0.5001 * double{store.view().scale[0]});
  }
}

TEST_CASE("duplicate_groups: pairs, chains, across blocks; a failed row is in none") {
  support::Random random(44);
  Matrix rows = support::unit_rows(random, 2600, 64);  // random directions: cosines below 0.6
  const auto copy = [&](Eigen::Index from, Eigen::Index to, float change) {
    for (Eigen::Index i = 0; i < 64; ++i) rows(to, i) = rows(from, i) + change * random.normal() / 8.0f;
    detail::finish_row(&rows(to, 0), 64, true);
  };
  copy(5, 2599, 0.0f);     // from the first block to the last
  copy(1100, 1101, 0.1f);  // cosine 0.995
  copy(1101, 40, 0.1f);    // a chain: 1100 and 40 may be below the mark
  copy(300, 301, 0.1f);    // neighbours, and nothing else
  const auto groups_of = [&](DataType type, float least, int threads) {
    StoredVectors store(type, 64);
    store.append(rows);
    SearchOptions options;
    options.threads = threads;
    return duplicate_groups(store.view(), least, options);
  };
  rows(7, 0) = rows(9, 0) = std::bit_cast<float>(0x7fc00000u);
  for (const DataType type : {DataType::f32, DataType::f16, DataType::i8}) {
    for (const int threads : {1, 3}) {
      CAPTURE(to_string(type));
      const auto groups = groups_of(type, 0.95f, threads);
      REQUIRE(groups.size() == 3);
      REQUIRE(groups[0].size() == 2);
      CHECK(groups[0][0].row == 5);
      CHECK(groups[0][1].row == 2599);
      CHECK(double{groups[0][1].score} == doctest::Approx(1.0).epsilon(0.02));
      REQUIRE(groups[1].size() == 3);
      CHECK(groups[1][0].row == 40);
      CHECK(groups[1][1].row == 1100);
      CHECK(groups[1][2].row == 1101);
      REQUIRE(groups[2].size() == 2);
      CHECK(groups[2][0].row == 300);
      CHECK(groups[2][1].row == 301);
    }
  }
  CHECK(groups_of(DataType::f32, 2.0f, 1).empty());
  CHECK(duplicate_groups(StoredVectors(DataType::f16, 4).view(), 0.5f).empty());
}

TEST_CASE("duplicate_groups: copies are found by their cosine whatever their stored length") {
  support::Random random(47);
  Matrix rows = support::unit_rows(random, 1100, 192);  // more than are packed at a time
  for (Eigen::Index i = 0; i < 1100; ++i) rows.row(i) *= static_cast<float>(1 + i % 50);
  for (const DataType type : {DataType::f32, DataType::f16, DataType::i8}) {
    StoredVectors stored(type, 192);
    stored.append(rows);
    stored.append(rows);
    const auto groups = duplicate_groups(stored.view(), 1.0f);
    CHECK(groups.size() == 1100);
    for (const auto& group : groups) {
      CHECK(group.size() == 2);
      CHECK(group[1].row == group[0].row + 1100);
      CHECK(group[1].score <= 1.0f);
      CHECK(group[1].score > 1.0f - 1e-6f);
    }
  }
  StoredVectors zeros(DataType::f32, 8);
  zeros.append(Matrix::Zero(3, 8));
  for (const float least : {0.5f, 0.0f, -1.0f}) CHECK(duplicate_groups(zeros.view(), least).empty());
}

TEST_CASE("duplicate_groups: rows whose products leave what a float holds") {
  Matrix rows(6, 2);
  rows << 1e20f, 0.0f, 1e20f, 2e20f, 0.0f, 3e-25f, 0.0f, 1e-25f, 1e20f, 1e13f, -1e20f, 0.0f;
  StoredVectors stored(DataType::f32, 2);
  stored.append(rows);
  const auto groups = duplicate_groups(stored.view(), 0.97f);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0][0].row == 0);
  CHECK(groups[0][1].row == 4);
  CHECK(groups[1][0].row == 2);
  CHECK(groups[1][1].row == 3);
  for (const auto& group : groups) {
    REQUIRE(group.size() == 2);
    CHECK(group[1].score == doctest::Approx(1.0));
  }
  const auto more = duplicate_groups(stored.view(), 0.4f);  // cos (1, 0), (1, 2) = 0.447; (1, 2), (0, 1) = 0.894
  REQUIRE(more.size() == 1);
  CHECK(more[0].size() == 5);
  CHECK(more[0][1].score == doctest::Approx(1.0 / std::sqrt(5.0)));
}

TEST_CASE("duplicate_groups: rows of any normal floats, equal ones found and others told apart") {
  for (const index_t width : {index_t{2}, index_t{192}, index_t{512}}) {
    for (const float element : {1.2e-38f, 1e-37f, 1e-30f, 1.0f, 4e36f, 6.2e36f, 8e37f, 3.4e38f}) {
      CAPTURE(width);
      CAPTURE(element);
      StoredVectors stored(DataType::f32, width);
      Matrix rows = Matrix::Constant(3, width, element);
      for (index_t i = 0; i < width / 2; ++i) rows(1, i) = -element;  // at a right angle to the others
      stored.append(rows);
      const auto groups = duplicate_groups(stored.view(), 0.99f);
      REQUIRE(groups.size() == 1);
      REQUIRE(groups[0].size() == 2);
      CHECK(groups[0][1].row == 2);
      CHECK(groups[0][1].score == doctest::Approx(1.0));
    }
  }
  StoredVectors far(DataType::f32, 192);
  Matrix rows = Matrix::Constant(2, 192, 1.0f);
  rows.row(0).setConstant(2e38f);
  for (index_t i = 0; i < 48; ++i) rows(1, i) = -1.0f;  // cosine 0.5
  far.append(rows);
  CHECK(duplicate_groups(far.view(), 0.51f).empty());
  CHECK(duplicate_groups(far.view(), 0.49f).size() == 1);
}

TEST_CASE("stored vectors: types that are none of theirs, and rows of tiny numbers") {
  for (const DataType type : {DataType::bf16, DataType::i16}) {
    CHECK(support::code_of([&] { (void)StoredVectors(type, 4); }) == ErrorCode::invalid_argument);
  }
  const std::uint16_t words[4] = {};
  const VectorsView words_view{words, DataType::i16, 1, 4, nullptr};
  CHECK(support::code_of([&] { (void)search(words_view, Vector::Zero(4)); }) == ErrorCode::invalid_argument);
  Matrix tiny(1, 4);
  tiny << 1e-38f, -1e-38f, 5e-39f, 0.0f;
  StoredVectors stored(DataType::i8, 4);
  stored.append(tiny);
  const auto* levels = static_cast<const std::int8_t*>(stored.view().data);
  CHECK(levels[0] == 127);
  CHECK(levels[1] == -127);
  CHECK(levels[2] == 64);  // 63.5, to the even one
  CHECK(levels[3] == 0);
}

TEST_CASE("of equal rows the lower is found first, wherever they lie") {
  Matrix rows = Matrix::Zero(9004, 8);  // pieces of unequal length
  for (const Eigen::Index r : {9003, 17, 3600, 2100}) rows(r, 0) = 1.0f;
  StoredVectors store(DataType::f32, 8);
  store.append(rows);
  Vector query = Vector::Zero(8);
  query(0) = 1.0f;
  SearchOptions options;
  options.top = 4;
  options.threads = 2;
  const auto found = search(store.view(), query, options);
  REQUIRE(found.size() == 4);
  CHECK(found[0].row == 17);
  CHECK(found[1].row == 2100);
  CHECK(found[2].row == 3600);
  CHECK(found[3].row == 9003);
}

TEST_CASE("stored vectors: rows that lie apart, a row of zeros as int8; views that make no sense") {
  support::Random random(45);
  Matrix apart = Matrix::Ones(3, 13);
  apart.leftCols(8) = support::unit_rows(random, 3, 8);
  apart.leftCols(8).row(1).setZero();
  const Vector query = apart.leftCols(8).row(2).transpose();
  for (const DataType type : {DataType::f32, DataType::f16, DataType::i8}) {
    StoredVectors store(type, 8);
    store.append(apart.leftCols(8));
    const auto found = search(store.view(), query);
    REQUIRE(found.size() == 3);
    CHECK(found[0].row == 2);
    CHECK(double{found[0].score} == doctest::Approx(1.0).epsilon(0.02));
    for (const Match& match : found) {
      if (match.row == 1) CHECK(match.score == 0.0f);
    }
  }
  for (const std::ptrdiff_t width : {std::ptrdiff_t{0}, StoredVectors::kMaxWidth + 1, std::ptrdiff_t{1} << 62}) {
    CHECK(support::code_of([&] { StoredVectors(DataType::f32, width); }) == ErrorCode::invalid_argument);
  }
  const std::int8_t byte[8] = {};
  CHECK(support::code_of([&] { (void)search({byte, DataType::i8, 1, 8}, query); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)search({byte, DataType::f32, -1, 8}, query); }) == ErrorCode::invalid_argument);
  CHECK(support::code_of([&] { (void)search({byte, DataType::f32, 1, 0}, Vector(0)); }) == ErrorCode::invalid_argument);
}

TEST_CASE("duplicate_groups: exactly the least score is near; a score is the product with the group's first row") {
  Matrix rows = Matrix::Zero(3, 4);
  rows.row(0) << 1.0f, 0.0f, 0.0f, 0.0f;
  rows.row(1) << 0.0f, -1.0f, 0.0f, 0.0f;
  rows.row(2) << 0.5f, 0.5f, 0.5f, 0.5f;
  StoredVectors store(DataType::f32, 4);
  store.append(rows);
  const auto groups = duplicate_groups(store.view(), 0.5f);
  REQUIRE(groups.size() == 1);
  REQUIRE(groups[0].size() == 2);
  CHECK(groups[0][1].row == 2);
  CHECK(groups[0][1].score == 0.5f);
  CHECK(duplicate_groups(store.view(), 0.5f + 0x1p-19f).empty());
}

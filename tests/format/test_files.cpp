// Files as the library reads and writes them: whole ones, lines, what is not replaced, names that are none.
#include <sys/resource.h>
#include <unistd.h>

#include <clipon/format/mapped_file.hpp>
#include <clipon/format/read_lines.hpp>
#include <clipon/format/write_file.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

using namespace clipon;

namespace {

// A folder that is removed with all in it.
struct Folder {
  std::filesystem::path path;
  explicit Folder(const char* name)
      : path(std::filesystem::temp_directory_path() / ("clipon-" + std::to_string(::getpid()) + name)) {
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path / name).string(); }
};

void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> raw_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string message_of(const std::string& path) {
  try {
    const format::RegularFile file(path, "label file");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("a file of exactly the greatest size is read, mapped or not; an empty one is empty") {
  const Folder folder("sizes");
  const std::string path = folder / "five";
  put(path, "12345");
  CHECK(format::read_file(path, 5, "it").size() == 5);
  CHECK(support::code_of([&] { (void)format::read_file(path, 4, "it"); }) == ErrorCode::limit_exceeded);
  CHECK(support::code_of([&] { (void)format::read_file(path, 4, "it", ErrorCode::image_too_large); }) ==
        ErrorCode::image_too_large);
  put(folder / "empty", "");
  CHECK(format::read_file(folder / "empty", 0, "it").empty());
  for (const bool map : {true, false}) {
    const format::MappedFile file(path, map, "it", 5);
    CHECK(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()) == "12345");
    CHECK(support::code_of([&] { const format::MappedFile longer(path, map, "it", 4); }) == ErrorCode::limit_exceeded);
    CHECK(format::MappedFile(folder / "empty", map).bytes().empty());
  }
}

#if defined(__linux__)
TEST_CASE("a file is mapped where it may be, and closed and unmapped after use") {
  const Folder folder("closed");
  const std::string path = folder / "it";
  put(path, "12345");
  const auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto mapped = [&] { return content_of("/proc/self/maps").find(path) != std::string::npos; };
  const auto before = descriptors();
  for (const bool map : {true, false}) {
    const format::MappedFile file(path, map);
    CHECK(mapped() == map);
  }
  CHECK_FALSE(mapped());
  (void)format::read_file(path, 5, "it");
  CHECK(support::code_of([&] { (void)format::read_file(folder.path.string(), 5, "it"); }) == ErrorCode::io);
  CHECK(descriptors() == before);
}

TEST_CASE("a file whose pages were dropped takes no memory, but still has its bytes") {
  const Folder folder("dropped");
  std::string text(20'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 4096);
  put(folder / "it", text);
  const auto resident_bytes_of_files = [] {
    std::int64_t total = 0;
    std::int64_t resident = 0;
    std::int64_t shared = 0;
    std::ifstream("/proc/self/statm") >> total >> resident >> shared;
    return shared * sysconf(_SC_PAGESIZE);
  };
  for (const bool map : {true, false}) {
    const format::MappedFile file(folder / "it", map);
    const auto same = [&] { return std::memcmp(file.bytes().data(), text.data(), text.size()) == 0; };
    CHECK(same());
    const auto before = resident_bytes_of_files();
    file.drop_pages({2});
    if (map) CHECK(before - resident_bytes_of_files() > 15'000'000);  // of 20; the count is inexact
    CHECK(same());
  }
}
#endif

TEST_CASE("what can't be read is named, and what it was meant to be") {
  const Folder folder("names");
  put(folder / "a", "text");
  const std::string cut = (folder / "a") + std::string("\0b", 2);  // whose letters before the NUL name a file
  CHECK(message_of(cut).ends_with("a\\x00b: label file: expected a path, found one with a NUL in it"));
  const std::string unwritten = (folder / "new") + std::string("\0b", 2);
  CHECK(support::code_of([&] { format::write_file(unwritten, raw_bytes("other")); }) == ErrorCode::io);
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
  CHECK(message_of(folder.path.string()) ==
        folder.path.string() + ": label file: expected a regular file, found a folder");
  CHECK(message_of("/dev/null") == "/dev/null: label file: expected a regular file, found a device or pipe");
  CHECK(message_of(folder / "none") == (folder / "none") + ": label file: No such file or directory");
}

TEST_CASE("a file that becomes shorter while it is read is truncated") {
  const Folder folder("shorter");
  put(folder / "it", "12345");
  const format::RegularFile file(folder / "it", "label file");
  std::filesystem::resize_file(folder / "it", 2);
  std::vector<std::byte> bytes(5);
  CHECK(support::code_of([&] { file.read(bytes.data(), bytes.size()); }) == ErrorCode::truncated);
}

TEST_CASE("lines without their ends, blanks around and a byte order mark; empty ones are left out") {
  const Folder folder("lines");
  const std::string path = folder / "lines";
  const auto lines = [&](const std::string& content) {
    put(path, content);
    return format::read_lines(path, 1 << 20, "it");
  };
  using Lines = std::vector<std::string>;
  CHECK(lines("").empty());
  CHECK(lines("\xef\xbb\xbf").empty());
  CHECK(lines("\n \n\t\r\n").empty());
  CHECK(lines("a") == Lines{"a"});
  CHECK(lines("\xef\xbb\xbf"
              "a b\r\n\r\n \tc\td\t \n\re\r") == Lines{"a b", "c\td", "e"});
  CHECK(lines("a\n\xef\xbb\xbf"
              "b") == Lines{"a",
                            "\xef\xbb\xbf"
                            "b"});  // a mark stands at the start alone
}

TEST_CASE("a file is written whole under its name, beside what others left, through links and into pipes") {
  const Folder folder("written");
  const std::string path = folder / "new";
  const auto left_beside = [&](int i) {
    return folder / ("clipon-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".part");
  };
  for (const int i : {0, 1, 2}) put(left_beside(i), "of another");
  format::write_file(path, raw_bytes("head "), raw_bytes("body"));
  CHECK(content_of(path) == "head body");
  format::write_file(path, raw_bytes("again"));
  CHECK(content_of(path) == "again");
  for (const int i : {0, 1, 2}) CHECK(content_of(left_beside(i)) == "of another");
  CHECK_FALSE(std::filesystem::exists(left_beside(3)));

  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  format::write_file(path, raw_bytes("yet again"));
  CHECK(content_of(path) == "yet again");
  CHECK((std::filesystem::status(path).permissions() == std::filesystem::perms::owner_read));
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);

  CHECK(format::is_replaced(path));
  CHECK(format::is_replaced(folder / "none"));
  CHECK_FALSE(format::is_replaced("/dev/null"));
  const std::string link = folder / "link";
  std::filesystem::create_symlink("new", link);
  CHECK_FALSE(format::is_replaced(link));
  format::write_file(link, raw_bytes("through it"));
  CHECK(std::filesystem::is_symlink(link));
  CHECK(content_of(path) == "through it");

  CHECK(support::code_of([] { format::write_file("/dev/full", raw_bytes("no room")); }) == ErrorCode::io);
  std::filesystem::create_directories(folder / "folder/within");
  CHECK(support::code_of([&] { format::write_file(folder / "folder", raw_bytes("x")); }) == ErrorCode::io);
  CHECK(support::code_of([&] { format::write_file(folder / "none/x", raw_bytes("x")); }) == ErrorCode::io);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path)) files += entry.is_regular_file() ? 1 : 0;
  CHECK(files == 1 + 1 + 3);  // new, the link to it, what others left

  const std::string longest(255, 'n');  // that a name may have
  format::write_file(folder / longest, raw_bytes("long"));
  CHECK(content_of(folder / longest) == "long");
}

TEST_CASE("a file that can't be written whole is left as it was, and nothing beside it") {
  const Folder folder("full");
  const std::string path = folder / "it";
  put(path, "as it was");
  rlimit usual = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
  rlimit small = usual;
  small.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string large(100'000, 'x');
  std::string what;
  try {
    format::write_file(path, raw_bytes(large), raw_bytes("end"));
  } catch (const Error& error) {
    what = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &usual);
  std::signal(SIGXFSZ, handler);
  CHECK(what == path + ": can't write it: File too large");
  CHECK(content_of(path) == "as it was");
  const std::filesystem::directory_iterator all(folder.path);
  CHECK(std::distance(begin(all), end(all)) == 1);
}

#include "evaluate/tar.hpp"

#include <clipon/clipon.hpp>
#include <optional>
#include <string_view>

namespace cli {

namespace {

constexpr std::uint64_t kBlock = 512;

struct Header {  // fields of the 512 bytes, by their offsets
  std::string_view bytes;

  [[nodiscard]] std::string_view text(std::size_t at, std::size_t n) const {
    const auto field = bytes.substr(at, n);
    return field.substr(0, field.find('\0'));
  }
  // Octal digits, or a big-endian number where the first bit is set; nothing where it is neither.
  [[nodiscard]] std::optional<std::uint64_t> number(std::size_t at, std::size_t n) const {
    std::uint64_t value = 0;
    const bool binary = (static_cast<unsigned char>(bytes[at]) & 0x80u) != 0;
    for (std::size_t i = binary ? at + n - 8 : at; i < at + n; ++i) {
      const auto c = static_cast<unsigned char>(bytes[i]);
      if (binary) {
        value = value << 8 | c;
      } else if (c >= '0' && c <= '7') {
        value = value << 3 | (c - '0');
      } else if (c == ' ' && value == 0) {
        continue;
      } else if (c == ' ' || c == '\0') {
        break;
      } else {
        return std::nullopt;
      }
    }
    return value;
  }
  [[nodiscard]] bool sound() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes[i]);
    }
    return number(148, 8) == sum;
  }
};

// The value of "path" among pax records "LENGTH KEY=VALUE\n".
std::string pax_path(std::string_view records) {
  std::string path;
  while (!records.empty()) {
    std::size_t length = 0;
    std::size_t digits = 0;
    while (digits < records.size() && digits < 7 && records[digits] >= '0' && records[digits] <= '9') {
      length = length * 10 + static_cast<std::size_t>(records[digits++] - '0');
    }
    if (length <= digits + 1 || length > records.size()) break;
    const auto record = records.substr(digits + 1, length - digits - 2);
    if (record.starts_with("path=")) path = record.substr(5);
    records.remove_prefix(length);
  }
  return path;
}

}  // namespace

std::vector<TarEntry> list_tar(std::span<const std::byte> archive, const std::string& path) {
  const std::string_view bytes(reinterpret_cast<const char*>(archive.data()), archive.size());
  const auto fault = [&](const char* why) {
    return clipon::Error(clipon::ErrorCode::bad_value, path + ": archive: " + why);
  };
  std::vector<TarEntry> entries;
  std::string long_name;
  for (std::uint64_t at = 0; bytes.size() - at >= kBlock;) {
    const Header header{bytes.substr(at, kBlock)};
    if (header.bytes.find_first_not_of('\0') == std::string_view::npos) return entries;
    if (!header.sound()) throw fault("expected the header of a tar entry, found something else (is it compressed?)");
    const auto size = header.number(124, 12);
    at += kBlock;
    if (!size || *size > bytes.size() - at) throw fault("it ends before its last entry does");
    const auto content = bytes.substr(at, *size);
    const char type = header.bytes[156];
    if (type == 'L') {
      long_name = content.substr(0, content.find('\0'));
    } else if (type == 'x') {
      long_name = pax_path(content);
    } else {
      const std::string prefix(header.text(257, 5) == "ustar" ? header.text(345, 155) : "");
      const std::string name = (prefix.empty() ? "" : prefix + "/") + std::string(header.text(0, 100));
      if (type == '0' || type == '\0') entries.push_back({long_name.empty() ? name : long_name, at, *size});
      long_name.clear();
    }
    at += (*size + kBlock - 1) / kBlock * kBlock;
    if (at > bytes.size()) break;
  }
  throw fault("it ends without the block of zeros that ends an archive");
}

}  // namespace cli

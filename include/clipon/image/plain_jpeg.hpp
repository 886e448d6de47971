// A JPEG without what libjpeg warns of although nothing is missing.  Layer 3; called by turbojpeg.hpp.
// TurboJPEG tells only the first warning, so that one of missing data can hide behind it: see decode_undamaged.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "clipon/image/jpeg.hpp"

namespace clipon::inline CLIPON_ABI::image {

/// N of libjpeg's "N extraneous bytes before marker 0xd9", which is the end marker; 0 for another warning.
inline std::size_t bytes_before_end(std::string_view warning) {
  constexpr std::string_view end = " extraneous bytes before marker 0xd9";
  const std::size_t at = warning.find(end);
  if (at == std::string_view::npos) return 0;
  std::size_t first = at;
  while (first > 0 && warning[first - 1] >= '0' && warning[first - 1] <= '9') --first;
  std::size_t count = 0;
  (void)std::from_chars(warning.data() + first, warning.data() + at, count);
  return count;
}

/// A segment's numbers as the decoder takes them anyway: JFIF's version, Adobe's colour transform, the coefficients of
/// a sequential scan.
inline void make_plain(unsigned marker, std::span<std::byte> segment, const JpegHeader& header) {
  using namespace std::string_view_literals;
  if (marker == 0xe0 && starts_with(segment, "JFIF\0"sv) && segment.size() > 5) segment[5] = std::byte{1};
  if (marker == 0xee && starts_with(segment, "Adobe"sv) && segment.size() > 11 && segment[11] != std::byte{0}) {
    segment[11] = header.components == 4 ? std::byte{2} : std::byte{1};  // YCCK, YCbCr
  }
  if (marker == 0xda && !header.progressive && segment.size() >= 3) {
    const std::byte all[3] = {std::byte{0}, std::byte{63}, std::byte{0}};
    std::copy(std::begin(all), std::end(all), segment.end() - 3);
  }
}

/// A file that read_jpeg_header has accepted: nothing between its segments, their numbers plain, and the last `unread`
/// bytes before its end marker left out.
inline std::vector<std::byte> plain_jpeg(std::span<const std::byte> file, const JpegHeader& header,
                                         std::size_t unread) {
  std::vector<std::byte> plain;
  plain.reserve(file.size());
  const auto append = [&](std::size_t from, std::size_t to) {
    plain.insert(plain.end(), file.begin() + static_cast<std::ptrdiff_t>(from),
                 file.begin() + static_cast<std::ptrdiff_t>(to));
  };
  append(0, 2);  // the start marker
  bool in_scan = false;
  for (std::size_t at = 2; true;) {
    const std::size_t next = next_jpeg_marker(file, at);
    const auto marker = std::to_integer<unsigned>(file[next + 1]);
    if (in_scan) {
      std::size_t end = next;
      while (end > at && file[end - 1] == std::byte{0xff}) --end;  // fill bytes
      append(at, marker == 0xd9 ? end - std::min(unread, end - at) : end);
    }
    append(next, next + 2);
    if (marker == 0xd9) return plain;
    at = next + 2;
    in_scan = marker == 0xda;
    if (marker == 0xd8 || marker == 0x01) continue;  // no length
    const std::size_t length = big_endian(file, at, 2);
    append(at, at + length);
    make_plain(marker, std::span(plain).last(length - 2), header);
    at += length;
  }
}

}  // namespace clipon::inline CLIPON_ABI::image

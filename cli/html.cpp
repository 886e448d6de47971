#include "html.hpp"

#include <clipon/core/utf8.hpp>

#include "encode_jpeg.hpp"

namespace cli {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #8885; --bar: #4a7ebb; --bad: #c0504d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid var(--line); }
td { vertical-align: top; } td:first-child { white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { display: inline-block; vertical-align: top; margin: .4rem; width: 112px; }
figure img { width: 112px; height: 112px; object-fit: contain; }
figcaption { font-size: 11px; line-height: 1.3; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
p.note { color: #888; font-size: 13px; }
)";

std::string base64(const std::vector<std::byte>& bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? std::to_integer<unsigned>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? digits[three >> (18 - 6 * j) & 63u] : '=';
  }
  return out;
}

// <img> of a square RGB picture [side, side, 3], its bytes within the page.
std::string html_picture(const std::vector<std::uint8_t>& rgb, std::ptrdiff_t side) {
  constexpr int quality = 85;
  const auto jpeg = encode_jpeg(rgb.data(), static_cast<int>(side), static_cast<int>(side), quality);
  return "<img alt=\"\" src=\"data:image/jpeg;base64," + base64(jpeg) + "\">";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto step = clipon::utf8::decode_step(text);
    switch (step.code_point) {
      case -1:  // names of files may be any bytes
        out += "\ufffd";
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += text.substr(0, step.bytes);
    }
    text.remove_prefix(step.bytes);
  }
  return out;
}

std::string html_page(const std::string& title, const std::string& body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + kStyle + "</style></head>\n<body>\n<h1>" + escape_html(title) +
         "</h1>\n" + body + "</body></html>\n";
}

std::string html_figure(const clipon::Model& model, const std::function<clipon::Image()>& load,
                        const std::string& caption) {
  std::string picture;
  try {
    picture = html_picture(model.preprocess(load()), model.image_size());
  } catch (const clipon::Error& error) {  // the file may be gone by now
    picture = "<p class=\"note\">" + escape_html(error.what()) + "</p>";
  }
  return "<figure>" + picture + "<figcaption>" + escape_html(caption) + "</figcaption></figure>\n";
}

}  // namespace cli

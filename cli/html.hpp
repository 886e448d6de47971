// Pieces of self-contained HTML pages: no script, no font, no file beside them.
#pragma once

#include <clipon/clipon.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace cli {

/// Text as it may stand in an element or a quoted attribute; U+FFFD for what is not UTF-8.
std::string escape_html(std::string_view text);

/// A whole page; `body` is HTML.
std::string html_page(const std::string& title, const std::string& body);

/// A figure: what the image tower sees of a picture, with a caption; why there is none where load() throws Error.
std::string html_figure(const clipon::Model& model, const std::function<clipon::Image()>& load,
                        const std::string& caption);

}  // namespace cli

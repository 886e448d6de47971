#include "index/query.hpp"

#include <clipon/core/finish_row.hpp>
#include <filesystem>

#include "inputs.hpp"

namespace cli {

std::vector<QueryTerm> parse_query(const std::string& query) {
  const std::string text = " " + query + " ";  // so that a sign at either end has a space on both sides, too
  std::vector<QueryTerm> terms;
  bool subtract = false;
  for (std::size_t at = 0;;) {
    const std::size_t end = std::min({text.find(" + ", at), text.find(" - ", at), text.size()});
    const std::size_t first = text.find_first_not_of(' ', at);
    if (first >= end) throw UsageError("query '" + query + "': expected words or a picture before and after + and -");
    terms.push_back({text.substr(first, text.find_last_not_of(' ', end - 1) - first + 1), subtract});
    if (end == text.size()) return terms;
    subtract = text[end + 1] == '-';
    at = end + 2;  // the space after a sign may be the one before the next
  }
}

clipon::Vector embed_query(const clipon::Model& model, const Settings& settings, const std::vector<QueryTerm>& terms) {
  const clipon::TokenizeOptions tokenize = tokenize_options(settings);
  const clipon::DecodeOptions decode = decode_options(settings);
  clipon::Vector sum = clipon::Vector::Zero(model.embed_dim());
  for (const QueryTerm& term : terms) {
    std::error_code error;
    const bool picture = is_named_like_a_picture(term.text) || std::filesystem::is_regular_file(term.text, error);
    const clipon::Vector v =
        picture ? model.embed_image(clipon::Image::read(term.text, decode)) : model.embed_text(term.text, tokenize);
    sum += term.subtract ? clipon::Vector(-v) : v;
  }
  // each term has length 1, and each sum rounds by some 2^-24 of it
  const float rounding = static_cast<float>(terms.size()) * 0x1p-20f;
  if (sum.norm() <= rounding)
    throw UsageError("query: expected terms that leave something, found ones that cancel out");
  clipon::detail::finish_row(sum.data(), sum.size(), true);
  return sum;
}

}  // namespace cli

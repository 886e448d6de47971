// clipon search: the pictures of an index that are nearest to words, a picture, or sums of them.
#include <clipon/search.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands/commands.hpp"
#include "html.hpp"
#include "index/query.hpp"
#include "index/reader.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct SearchOptions {
  std::vector<std::string> query;
  std::string index;
  std::size_t top = 10;
  std::string html;
};

struct Found {
  std::string path;
  float cosine = 0.0f;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void print_json(const clipon::Model& model, const IndexReader& index, const std::string& query,
                const std::vector<Found>& found) {
  nlohmann::ordered_json out = {{"model", model.info().name}, {"query", query}, {"rows", index.size()}};
  out["results"] = nlohmann::ordered_json::array();
  for (const Found& f : found) {
    out["results"].push_back(path_json(f.path));
    out["results"].back()["cosine"] = f.cosine;
  }
  std::cout << json_text(out);
}

void write_sheet(const clipon::Model& model, const Settings& settings, const SearchOptions& options,
                 const std::vector<Found>& found) {
  const clipon::DecodeOptions decode = decode_options(settings);
  std::string body;
  for (const Found& f : found) {
    char cosine[16];
    std::snprintf(cosine, sizeof cosine, "%.4f ", static_cast<double>(f.cosine));
    body += html_figure(
        model, [&] { return clipon::Image::read(f.path, decode); }, cosine + f.path);
  }
  write_text(options.html, html_page(joined(options.query), body));
}

ExitCode run_search(const SearchOptions& options, const Settings& settings) {
  const auto terms = parse_query(joined(options.query));
  expect_writable(options.html);
  const IndexReader index(options.index);
  const clipon::Model model = load_model(settings);
  const IndexHead own = head_of(model, index.head().type, index.head().exif);
  if (own.fingerprint != index.head().fingerprint || own.width != index.head().width) {
    throw UsageError(options.index + ": index: expected a query by its own model, " + index.head().model + " " +
                     index.head().fingerprint + ", found " + own.model + " " + own.fingerprint + " (--model)");
  }
  clipon::SearchOptions how;
  how.top = options.top;
  how.threads = settings.threads;
  how.isa = model.isa();
  std::vector<Found> found;
  for (const auto& match : clipon::search(index.view(), embed_query(model, settings, terms), how)) {
    found.push_back({index.row(match.row).path, match.score});
  }
  if (!options.html.empty()) write_sheet(model, settings, options, found);
  if (settings.json) {
    print_json(model, index, joined(options.query), found);
  } else if (!options.html.empty()) {
    std::printf("%s: %s\n", options.html.c_str(), counted(found.size(), "picture", "pictures").c_str());
  } else {
    for (const Found& f : found) std::printf("%7.4f  %s\n", static_cast<double>(f.cosine), printable(f.path).c_str());
  }
  return ExitCode::success;
}

}  // namespace

void add_search(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("search", "Find pictures of an index by words, by a picture, or by sums of them");
  auto options = std::make_shared<SearchOptions>();
  command->add_option("query", options->query, "Words or a picture file; \"a.jpg + snow - people\"")->required();
  add_index_folder(*command, options->index);
  command->add_option("--top", options->top, "How many pictures to find; 0: all")
      ->transform(whole_number_from(0))
      ->capture_default_str();
  command->add_option("--html", options->html, "Write a page with the pictures found instead of a table")
      ->check(file_name());
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_search(*options, settings); }; });
}

}  // namespace cli

// clipon index: embeds a tree of pictures, once; then only what is new or has changed.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clipon/search.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "commands/commands.hpp"
#include "index/writer.hpp"
#include "inputs.hpp"
#include "outputs.hpp"

namespace cli {

namespace {

struct IndexOptions {
  std::vector<std::string> pictures;
  std::string index;
  std::string type = "f16";
};

struct Counts {
  std::size_t added = 0;
  std::size_t changed = 0;
  std::size_t gone = 0;
  std::size_t failed = 0;
};

// Absolute, and as short as can be.  ".." after a symbolic link leads to the parent of what it points to, which only
// the file system can tell; other paths keep their links.
std::string full_path(const std::string& path) {
  const auto absolute = std::filesystem::absolute(path);
  const bool climbs = std::find(absolute.begin(), absolute.end(), "..") != absolute.end();
  return (climbs ? std::filesystem::weakly_canonical(absolute) : absolute.lexically_normal()).string();
}

// The pictures as they are now, sorted, each once.
std::vector<IndexRow> look_at(const std::vector<std::string>& paths, bool may_be_empty) {
  for (const std::string& path : paths) {  // what was named must be there; what is found in a folder may go meanwhile
    if (::access(path.c_str(), F_OK) != 0) throw UsageError(path + ": " + std::strerror(errno));
  }
  std::vector<IndexRow> files;
  for (const std::string& path : expand_pictures(paths, may_be_empty)) {
    IndexRow file;
    file.path = full_path(path);
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) {
      file.size = static_cast<std::uint64_t>(status.st_size);
      file.mtime = status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec;
    }
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const IndexRow& a, const IndexRow& b) { return a.path < b.path; });
  const auto same = [](const IndexRow& a, const IndexRow& b) { return a.path == b.path; };
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  return files;
}

// Drops the rows of files that changed or are gone; the files that have no row then.
std::vector<IndexRow> update(IndexWriter& writer, const std::vector<IndexRow>& files, Counts& counts) {
  std::unordered_map<std::string, const IndexRow*> now;
  for (const IndexRow& file : files) now[file.path] = &file;
  std::unordered_map<std::string, bool> known;  // those that have a row: whether it is of the file as it is now
  std::vector<bool> wanted;
  for (const IndexRow& row : writer.rows()) {
    const auto found = now.find(row.path);
    std::error_code error;  // what may not be looked at is not gone
    const bool exists =
        found != now.end() || std::filesystem::status(row.path, error).type() != std::filesystem::file_type::not_found;
    const bool same = found == now.end() || (found->second->size == row.size && found->second->mtime == row.mtime);
    counts.gone += exists ? 0 : 1;
    counts.changed += exists && !same ? 1 : 0;
    wanted.push_back(exists && same);
    known[row.path] |= wanted.back();
  }
  if (std::find(wanted.begin(), wanted.end(), false) != wanted.end()) writer.keep(wanted);
  std::vector<IndexRow> missing;
  for (const IndexRow& file : files) {
    const auto row = known.find(file.path);
    counts.added += row == known.end() ? 1 : 0;
    if (row == known.end() || !row->second) missing.push_back(file);
  }
  return missing;
}

// Embeds and appends `missing`, a portion at a time; how many failed.
std::size_t embed_files(const clipon::Model& model, const Settings& settings, const std::vector<IndexRow>& missing,
                        clipon::DataType type, IndexWriter& writer) {
  std::size_t failed = 0;
  Progress progress("pictures");
  for (std::size_t first = 0; first < missing.size(); first += settings.batch) {
    const auto begin = missing.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(settings.batch, missing.size() - first));
    std::vector<IndexRow> portion(begin, begin + count);
    std::vector<std::string> paths;
    paths.reserve(portion.size());
    for (const IndexRow& row : portion) paths.push_back(row.path);
    std::vector<clipon::ItemStatus> status;
    clipon::BatchOptions options;
    options.status = &status;
    options.decode = decode_options(settings);
    options.progress = [&](std::size_t done, std::size_t) { progress.show(first + done, missing.size()); };
    clipon::StoredVectors vectors(type, model.embed_dim());
    vectors.append(model.embed_image_files(paths, options));
    for (std::size_t i = 0; i < portion.size(); ++i) {
      portion[i].error = status[i].message;
      const bool unread = !status[i].ok && status[i].code == clipon::ErrorCode::io;
      if (unread) portion[i].mtime = 0;  // no permission, a failing disk: to the next run it has changed
    }
    writer.append(portion, vectors.view());
    progress.hide();
    failed += report_failures(paths, status);
  }
  return failed;
}

ExitCode run_index(const IndexOptions& options, const Settings& settings) {
  std::error_code error;
  if (std::filesystem::exists(options.index, error) && !std::filesystem::is_directory(options.index, error)) {
    throw UsageError(options.index + ": index: expected a folder, found something else");
  }
  // a folder that has become empty is news to an index; without one it is a mistake
  const bool is_known = ::access(IndexPaths(options.index).head.c_str(), F_OK) == 0;
  const auto files = look_at(options.pictures, is_known);
  const clipon::Model model = load_model(settings);
  const auto type = options.type == "int8" ? clipon::DataType::i8 : clipon::DataType::f16;
  IndexWriter writer(options.index, head_of(model, type, settings.exif));
  Counts counts;
  const auto missing = update(writer, files, counts);
  counts.failed = embed_files(model, settings, missing, type, writer);
  if (settings.json) {
    const nlohmann::ordered_json json = {{"index", options.index},     {"rows", writer.rows().size()},
                                         {"added", counts.added},      {"changed", counts.changed},
                                         {"removed", counts.gone},     {"failed", counts.failed},
                                         {"model", model.info().name}, {"type", options.type}};
    std::cout << json_text(json, -1);
  } else {
    std::printf("%s: %s; %zu new, %zu changed, %zu removed, %zu failed\n", options.index.c_str(),
                counted(writer.rows().size(), "row", "rows").c_str(), counts.added, counts.changed, counts.gone,
                counts.failed);
  }
  return counts.failed == 0 ? ExitCode::success : ExitCode::some_failed;
}

}  // namespace

void add_index(CLI::App& app, const Settings& settings, Action& action) {
  auto* command = app.add_subcommand("index", "Embed a tree of pictures to search in; again: what is new or changed");
  auto options = std::make_shared<IndexOptions>();
  command->add_option("pictures", options->pictures, "Picture files, or folders of them")->required();
  add_index_folder(*command, options->index);
  command->add_option("--type", options->type, "What vectors are stored in")
      ->check(CLI::IsMember({"f16", "int8"}))
      ->capture_default_str();
  command->callback([=, &settings, &action] { action = [=, &settings] { return run_index(*options, settings); }; });
}

}  // namespace cli

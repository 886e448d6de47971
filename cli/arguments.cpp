#include "arguments.hpp"

namespace cli {

namespace {

constexpr char kMark = '\x01';

// Where the value of a word begins: behind "--option=" and "-o".
std::size_t value_of(const std::string& word, bool is_option) {
  if (!is_option) return 0;
  if (!word.starts_with("--")) return 2;
  const std::size_t equals = word.find('=');
  return equals == std::string::npos ? word.size() : equals + 1;
}

void take_off_marks(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() > 0) option->transform(Arguments::unmarked);
  }
  for (CLI::App* command : app.get_subcommands({})) take_off_marks(*command);
}

}  // namespace

Arguments::Arguments(int argc, char** argv) : words_(argv, argv + argc) {
  bool options_end = false;
  for (std::string& word : words_) {
    const std::size_t at = value_of(word, !options_end && word.size() > 1 && word[0] == '-');
    options_end = options_end || word == "--";
    if (at < word.size() && (word[at] == '[' || word[at] == kMark)) word.insert(at, 1, kMark);
  }
}

void Arguments::parse(CLI::App& app) {
  take_off_marks(app);
  std::vector<const char*> words;
  words.reserve(words_.size());
  for (const std::string& word : words_) words.push_back(word.c_str());
  app.parse(static_cast<int>(words.size()), words.data());
}

std::string Arguments::unmarked(std::string value) {
  if (value.starts_with(kMark)) value.erase(0, 1);
  return value;
}

}  // namespace cli

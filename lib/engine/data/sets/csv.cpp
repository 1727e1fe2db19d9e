#include "base/catalog/dataset/csv.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>

#include "base/core/error.h"
#include "base/io/csv.h"
#include "base/io/files.h"
#include "base/text/unicode.h"
#include "engine/data/assemble.h"
#include "engine/data/sets/class_folders.h"

namespace ds::data::sets::csv {

namespace {

using Options = catalog::dataset::csv::Options;

constexpr std::size_t kMostColumns = 4096, kMostClasses = 65536, kMostNamed = 10;

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(Exit::kInput, where, what, hint);
}

/// Rows of a file: of CSV, or objects of JSON a line, whose first names the columns.
class Table {
 public:
  Table(const std::string& bytes, const std::string& file) : csv_(bytes, file), bytes_(bytes), file_(file), json_(file.ends_with(".jsonl")) {}
  /// The first row is the names.
  bool next(std::vector<std::string>& fields) { return json_ ? next_object(fields) : csv_.next(fields); }
  std::string where() const { return json_ ? fmt::format("{}:{}", file_, line_) : csv_.where(); }

 private:
  bool next_object(std::vector<std::string>& fields) {
    const bool naming = names_.empty();
    while (at_ < bytes_.size()) {
      const std::size_t end = std::min(bytes_.find('\n', at_), bytes_.size());
      const std::string text = bytes_.substr(at_, end - at_);
      ++line_;
      if (text.find_first_not_of(" \t\r") == std::string::npos) {
        at_ = end + 1;
        continue;
      }
      const Json object = Json::parse(text, nullptr, false);
      if (!object.is_object() || object.empty()) refuse(where(), "is no JSON object, expected one a line");
      fields.clear();
      if (naming) {
        for (const auto& [key, value] : object.items()) names_.push_back(key);
        fields = names_;
        --line_;
        return true;  // the row itself comes next
      }
      at_ = end + 1;
      for (const std::string& name : names_) {
        if (!object.contains(name)) refuse(where(), fmt::format("has no '{}', the first object has", name));
        const Json& value = object.at(name);
        if (value.is_structured()) refuse(where(), fmt::format("'{}' is {}, expected a text or a number", name, value.type_name()));
        fields.push_back(value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump());
      }
      return true;
    }
    return false;
  }

  io::CsvReader csv_;
  const std::string& bytes_;
  std::string file_;
  bool json_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0;
  std::vector<std::string> names_;
};

/// The columns of a file: where the targets are, and the others by name.
struct Header {
  std::size_t fields = 0;
  std::vector<std::size_t> targets;        ///< of a class: one; of pairs without a score none
  std::vector<std::string> target_names;
  bool numbers = false;                    ///< targets are numbers
  bool vectors = false;                    ///< texts of a row are samples of their own
  std::vector<std::size_t> texts;   ///< those that are text: none, one or a pair
  std::vector<std::string> names;   ///< of the features, sorted
  std::vector<std::size_t> places;  ///< of those
};

/// Where the column of that name is.
std::size_t find_column(std::vector<std::string> names, const std::string& target, const std::string& file) {
  const auto found = std::find(names.begin(), names.end(), target);
  if (found == names.end()) {
    const std::string guess = core::nearest(target, names);
    if (names.size() > 20) names.resize(20);
    const std::string suggestion = guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess);
    throw Error(Exit::kUsage, "data", fmt::format("csv: {} has no column '{}'{}", file, target, suggestion),
                fmt::format("its first line names {}", fmt::join(names, ", ")));
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// "a+b" as its parts; a column may itself be called so.
std::vector<std::string> target_names(const std::string& text, const std::vector<std::string>& columns) {
  if (text.empty()) return {};
  if (std::find(columns.begin(), columns.end(), text) != columns.end()) return {text};
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('+', begin), text.size());
    names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

Header read_header(Table& reader, const std::string& file, const Options& options) {
  std::vector<std::string> names;
  if (!reader.next(names)) refuse(file, "is empty, expected a line of names and rows below it");
  Header header;
  header.fields = names.size();
  header.vectors = options.task == "embedding";
  header.numbers = options.task == "regression" || (header.vectors && !options.pair.empty());
  header.target_names = header.numbers ? target_names(options.target, names) : std::vector<std::string>{options.target};
  if (header.vectors && header.target_names.size() > 1)
    throw Error(Exit::kUsage, "data", fmt::format("csv: {} targets, a pair has one score", header.target_names.size()));
  for (const std::string& name : header.target_names) header.targets.push_back(find_column(names, name, file));
  const auto is_target = [&](std::size_t place) { return std::find(header.targets.begin(), header.targets.end(), place) != header.targets.end(); };
  for (const std::string* name : {&options.text, &options.pair}) {
    if (name->empty()) continue;
    header.texts.push_back(find_column(names, *name, file));
    if (is_target(header.texts.back())) throw Error(Exit::kUsage, "data", fmt::format("csv: column '{}' is both text and target", *name));
  }
  if (!header.texts.empty()) return header;  // the other columns are of no account
  header.places.resize(names.size());
  std::iota(header.places.begin(), header.places.end(), 0);
  std::erase_if(header.places, is_target);
  std::sort(header.places.begin(), header.places.end(), [&](std::size_t a, std::size_t b) { return names[a] < names[b]; });
  for (const std::size_t place : header.places) header.names.push_back(names[place]);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) refuse(reader.where(), fmt::format("names '{}' twice", *twice));
  if (header.names.empty()) refuse(reader.where(), "has one column, expected at least one beside the target", "columns are separated by commas");
  if (header.names.size() > kMostColumns) refuse(reader.where(), fmt::format("{} columns, expected at most {}", header.fields, kMostColumns));
  return header;
}

struct Rows {
  std::vector<float> values;         ///< [rows, features]
  std::vector<std::string> texts;    ///< of each row, where there are some; of a pair with a NUL between, of vectors one behind the other
  std::vector<std::string> classes;  ///< of each row, or
  std::vector<float> numbers;        ///< [rows, targets]
  std::size_t rows = 0;
  std::size_t size() const { return rows; }
};

/// What is wrong with a row, or "" and its features behind `values`.
std::string read_row(const Header& header, const std::vector<std::string>& fields, std::vector<float>& values, std::vector<float>& numbers,
                     std::string& row_text) {
  if (fields.size() != header.fields) return fmt::format("{} fields, expected {} as in the first line", fields.size(), header.fields);
  for (std::size_t i = 0; i < header.targets.size(); ++i) {
    const std::string& text = fields[header.targets[i]];
    if (!header.numbers && text.empty()) return "has no class";
    const auto number = header.numbers ? io::csv_number(text) : std::optional<double>(0);
    if (!number) return fmt::format("column '{}' has '{}', expected a finite number", header.target_names[i], text);
    if (header.numbers) numbers.push_back(static_cast<float>(*number));
  }
  for (const std::size_t place : header.texts) {
    const std::string& text = fields[place];
    const std::size_t bad = std::min(text::find_invalid_utf8(text), text.find('\0'));
    if (bad != std::string::npos) return fmt::format("field {}, byte {} is no UTF-8 text", place + 1, bad);
    if (place != header.texts[0]) row_text += '\0';
    row_text += text;
  }
  for (std::size_t i = 0; i < header.places.size(); ++i) {
    const std::string& text = fields[header.places[i]];
    const auto value = io::csv_number(text);
    if (!value) return fmt::format("column '{}' has '{}', expected a finite number", header.names[i], text);
    values.push_back(static_cast<float>(*value));
  }
  return "";
}

/// train, val and test: a row's own fields say where it goes, so that equal rows are never on two sides.
std::vector<Rows> read_rows(Table& reader, const Header& header, const std::string& file) {
  std::vector<Rows> splits(3);
  std::vector<Error> errors;
  std::size_t wrong = 0;
  std::vector<std::string> fields;
  std::vector<float> values, numbers;
  std::string text;
  while (reader.next(fields)) {
    values.clear();
    numbers.clear();
    text.clear();
    const std::string problem = read_row(header, fields, values, numbers, text);
    if (!problem.empty()) {
      if (++wrong <= kMostNamed) errors.emplace_back(Exit::kInput, reader.where(), problem);
      continue;
    }
    const std::string row = fmt::format("{}", fmt::join(fields, "\x1f"));
    const unsigned long place = tenth(row);
    Rows& rows = splits[place == 8 ? 1 : place == 9 ? 2 : 0];
    ++rows.rows;
    const std::size_t second = header.vectors ? text.find('\0') : std::string::npos;
    if (!header.texts.empty()) rows.texts.push_back(text.substr(0, second));
    if (second != std::string::npos) rows.texts.push_back(text.substr(second + 1));
    rows.numbers.insert(rows.numbers.end(), numbers.begin(), numbers.end());
    rows.values.insert(rows.values.end(), values.begin(), values.end());
    if (!header.numbers) rows.classes.push_back(std::move(fields[header.targets[0]]));
  }
  if (wrong > kMostNamed) errors.emplace_back(Exit::kInput, file, fmt::format("{} more rows are bad", wrong - kMostNamed));
  throw_errors(errors);
  return splits;
}

/// The classes, sorted as numbers where all are numbers, else by bytes.
std::vector<std::string> classes_of(const std::vector<Rows>& splits, const std::string& file, const std::string& target) {
  std::vector<std::string> names;
  std::size_t rows = 0;
  for (const Rows& split : splits) {
    names.insert(names.end(), split.classes.begin(), split.classes.end());
    rows += split.size();
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() < 2) refuse(file, fmt::format("column '{}' has {} classes in {} rows, expected 2 or more", target, names.size(), rows));
  if (names.size() > kMostClasses || (rows >= 20 && names.size() == rows))
    refuse(file, fmt::format("column '{}' has {} classes in {} rows, expected one of a few in each row", target, names.size(), rows),
           "give task=regression to tell a number");
  if (std::all_of(names.begin(), names.end(), [](const std::string& name) { return io::csv_number(name).has_value(); }))
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) { return *io::csv_number(a) < *io::csv_number(b); });
  return names;
}

Split to_split(const Rows& rows, const Header& header, const std::map<std::string, std::int64_t>& labels) {
  Split split;
  if (rows.size() == 0) return split;
  const std::int64_t n = static_cast<std::int64_t>(rows.size()), times = header.vectors ? static_cast<std::int64_t>(header.texts.size()) : 1;
  const auto targets = static_cast<std::int64_t>(header.targets.size()), features = static_cast<std::int64_t>(header.names.size());
  split.texts = rows.texts;
  if (rows.texts.empty()) {
    split.images = at::empty({n, features, 1, 1}, at::TensorOptions().dtype(at::kFloat));
    std::copy(rows.values.begin(), rows.values.end(), split.images.mutable_data_ptr<float>());
  }
  if (header.numbers && targets > 0) {
    split.labels = at::empty({n * times, targets}, at::TensorOptions().dtype(at::kFloat));
    auto* to = split.labels.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < n * times; ++i) to = std::copy_n(rows.numbers.data() + i / times * targets, targets, to);
    return split;
  }
  split.labels = at::empty({n * times}, at::TensorOptions().dtype(at::kLong));
  for (std::int64_t i = 0; i < n * times; ++i)
    split.labels.mutable_data_ptr<std::int64_t>()[i] = header.numbers ? i / times : labels.at(rows.classes[static_cast<std::size_t>(i)]);
  return split;
}

/// Mean and deviation of each column of train; one of a single value gets 1 for its deviation.
Json standard(const Rows& rows, const Header& header) {
  const std::size_t features = header.names.size();
  std::vector<double> mean(features, 0), deviation(features, 0);
  const auto n = static_cast<double>(rows.size());
  // Divided once, at the end: the mean of a column of one value is that value, to the last bit.
  for (std::size_t i = 0; i < rows.values.size(); ++i) mean[i % features] += rows.values[i];
  for (double& value : mean) value /= n;
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    const double off = rows.values[i] - mean[i % features];
    deviation[i % features] += off * off / n;
  }
  for (double& value : deviation) value = value > 0 ? std::sqrt(value) : 1;
  return {{"kind", "table"}, {"columns", header.names}, {"shape", {features, 1, 1}}, {"scale", 1}, {"mean", mean}, {"std", deviation}};
}

void check_options(const Options& options, const std::string& file) {
  const auto wrong = [](const std::string& what, const std::string& hint) { throw Error(Exit::kUsage, "data", what, hint); };
  const bool embedding = options.task == "embedding";
  if (options.text.empty() && (embedding || !options.pair.empty() || options.length > 0))
    wrong(embedding ? "csv: task=embedding without a text" : "csv: pair and length are for text", fmt::format("give csv:{}?text=NAME,target=NAME", file));
  if (embedding && options.pair.empty() && options.target.empty())
    wrong("csv: task=embedding with neither a pair nor a target",
          fmt::format("give csv:{}?text=NAME,pair=NAME,task=embedding, or target=NAME with classes", file));
  if (options.target.empty() && !embedding) wrong("'csv' without a target", fmt::format("give csv:{}?target=NAME, the column of the class", file));
}

Dataset load(const std::string& rest, const core::Options& given) {
  const auto [file, text] = split_options(rest);
  Options options = static_cast<const Options&>(given);
  read_options("csv", text, options);
  if (file.empty()) throw Error(Exit::kUsage, "data", "'csv' without a file", "give csv:FILE?target=NAME");
  check_options(options, file);
  const std::string bytes = io::read_file(file);
  Table table(bytes, file);
  const Header header = read_header(table, file, options);
  const std::vector<Rows> splits = read_rows(table, header, file);
  Dataset set;
  if (!header.numbers) set.labels = classes_of(splits, file, options.target);
  else if (!header.vectors) set.values = header.target_names;
  set.num_classes = static_cast<std::int64_t>(header.numbers ? set.values.size() : set.labels.size());
  if (splits[0].size() == 0) refuse(file, "has no rows to train on, but a few in other splits", "add some");
  std::map<std::string, std::int64_t> labels;
  for (const std::string& label : set.labels) labels.emplace(label, labels.size());
  if (header.texts.empty()) set.preprocessing = standard(splits[0], header);
  else set.preprocessing = {{"kind", "text"}};
  if (options.length > 0 && !header.texts.empty()) set.preprocessing["max_length"] = options.length;
  set.train = to_split(splits[0], header, labels);
  set.val = to_split(splits[1], header, labels);
  set.test = to_split(splits[2], header, labels);
  if (header.vectors) set.train.tokens.target = !header.numbers ? Target::kNear : header.targets.empty() ? Target::kPair : Target::kScored;
  return set;
}

const core::Body<LoadDataset> body{"dataset", "csv", load};

}  // namespace

}  // namespace ds::data::sets::csv

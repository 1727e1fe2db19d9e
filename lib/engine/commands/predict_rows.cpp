#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/io/csv.h"
#include "engine/commands/predict.h"
#include "engine/data/pixels.h"

namespace ds::commands::predict {
namespace {

/// Rows of tables: the columns of the data that the model was trained on, in any order, among others.
class Rows : public Kind {
 public:
  Rows(const Opened& opened, const PredictCommand& options)
      : preprocessing_(opened.checkpoint.preprocessing), targets_(preprocessing_, file_of(opened)), top_(options.top) {
    const std::string file = file_of(opened), where = file + ":/documents/preprocessing";
    const data::Pixels pixels(preprocessing_, where);
    const Json columns = preprocessing_.value("columns", Json());
    if (!columns.is_array() || static_cast<std::int64_t>(columns.size()) != pixels.numel())
      throw Error(Exit::kInput, where, fmt::format("columns are {}, expected the names of {}", columns.dump().substr(0, 200), pixels.numel()));
    for (const Json& column : columns) columns_.push_back(column.is_string() ? column.get<std::string>() : "");
    const graph::Graph& graph = opened.model.graph;
    const auto& dims = graph.inputs.at(0).type.dims;
    if (graph.inputs.size() != 1 || dims.size() != 4 || (dims[1].is_known() && dims[1].value() != pixels.channels))
      throw Error(
          Exit::kInput, file,
          fmt::format("the model takes {}, its preprocessing gives rows of {} columns", graph::type_text(graph.inputs[0].type), columns_.size()));
    if (!options.raw && targets_.empty()) labels_ = read_labels(opened, train::output_classes(graph));
  }

  bool take(const std::string& source, std::int64_t line, Item& item) override {
    item.name = item.place;
    if (line == 1 || source != source_) {
      read_header(source, item.line);
      return false;
    }
    if (item.line.find_first_not_of(" \t") == std::string::npos) return false;
    // Here and not in read(): the next source may have another header.
    try {
      parse(item);
    } catch (const Error& e) {
      item.error = e.message();
    }
    return true;
  }

  void read(Item&) const override {}

  std::vector<at::Tensor> batch(const std::vector<const Item*>& items) const override {
    at::Tensor all =
        at::empty({static_cast<std::int64_t>(items.size()), static_cast<std::int64_t>(columns_.size()), 1, 1}, at::TensorOptions().dtype(at::kFloat));
    auto* to = all.mutable_data_ptr<float>();
    for (const Item* item : items) to = std::copy(item->row.begin(), item->row.end(), to);
    return {data::preprocess(all, preprocessing_)};
  }

  std::string values(const Item&, const at::Tensor& scores) const override {
    if (scores.dim() != 1) throw Error(Exit::kInput, "", "the model's output is no row of scores for each row", "--raw prints any output");
    return targets_.empty() ? labels_and_scores(scores.const_data_ptr<float>(), labels_, top_) : numbers(scores, targets_);
  }

 private:
  void parse(Item& item) const {
    std::vector<std::string> fields;
    io::CsvReader(item.line, item.name).next(fields);
    if (fields.size() != fields_) throw Error(Exit::kInput, "", fmt::format("{} fields, expected {} as in the first line", fields.size(), fields_));
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto value = io::csv_number(fields[places_[i]]);
      if (!value) throw Error(Exit::kInput, "", fmt::format("column '{}' has '{}', expected a finite number", columns_[i], fields[places_[i]]));
      item.row.push_back(static_cast<float>(*value));
    }
  }

  void read_header(const std::string& source, const std::string& line) {
    source_ = source;
    std::vector<std::string> names;
    io::CsvReader(line, source).next(names);
    fields_ = names.size();
    places_.clear();
    for (const std::string& column : columns_) {
      const auto found = std::find(names.begin(), names.end(), column);
      if (found == names.end()) {
        const std::string guess = core::nearest(column, names);
        throw Error(Exit::kInput, source,
                    fmt::format("its first line has no column '{}'{}", column, guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
                    "the first line names the columns that the model was trained on, in any order");
      }
      if (std::find(found + 1, names.end(), column) != names.end())
        throw Error(Exit::kInput, source, fmt::format("its first line names '{}' twice", column));
      places_.push_back(static_cast<std::size_t>(found - names.begin()));
    }
  }

  const Json& preprocessing_;
  data::Targets targets_;
  std::int64_t top_;
  std::vector<std::string> columns_, labels_;
  std::string source_;
  std::size_t fields_ = 0;
  std::vector<std::size_t> places_;  ///< of the columns, in the header that was read last
};

}  // namespace

std::string numbers(const at::Tensor& outputs, const data::Targets& targets) {
  const at::Tensor own = targets.restored(outputs.unsqueeze(0));
  std::string text;
  for (std::size_t i = 0; i < targets.names.size(); ++i)
    text += fmt::format("{}{}:{}", i ? "," : "", json_text(targets.names[i]), own.const_data_ptr<double>()[i]);
  return ",\"values\":{" + text + "}";
}

std::unique_ptr<Kind> rows(const Opened& opened, const PredictCommand& options) { return std::make_unique<Rows>(opened, options); }

}  // namespace ds::commands::predict

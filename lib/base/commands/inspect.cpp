#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/commands/convert_looks.h"
#include "base/core/error.h"
#include "base/graph/graph.h"

namespace ds::commands {
namespace inspecting {

using io::Json;

std::int64_t bytes_of(const std::map<std::string, io::Array>& tensors) {
  std::int64_t bytes = 0;
  for (const auto& [name, array] : tensors) bytes += static_cast<std::int64_t>(array.bytes());
  return bytes;
}

Json table_of(const std::map<std::string, io::Array>& tensors) {
  Json rows = Json::array();
  for (const auto& [name, array] : tensors)
    rows.push_back({{"name", name}, {"dtype", io::dtype_name(array.dtype)}, {"shape", array.shape}, {"bytes", array.bytes()}});
  return rows;
}

/// Sizes of the net. A graph that cannot be read is an error: the checkpoint would be of no use to any tool.
Json metrics_of(const io::Checkpoint& checkpoint) {
  Json metrics = {{"tensors", checkpoint.tensors.size()}, {"tensor_bytes", bytes_of(checkpoint.tensors)}};
  struct stat status {};
  if (checkpoint.path != "-" && stat(checkpoint.path.c_str(), &status) == 0) metrics["file_bytes"] = status.st_size;
  if (!checkpoint.state_tensors.empty()) metrics["state_bytes"] = bytes_of(checkpoint.state_tensors);
  if (checkpoint.graph.is_null()) return metrics;
  const graph::Graph graph = graph::from_json(checkpoint.graph, checkpoint.path + ":/documents/graph");
  const graph::Cost cost = graph::cost(graph);
  metrics["parameters"] = cost.parameters;
  metrics["macs"] = cost.macs;
  if (const graph::Bindings sizes = graph::bind_all(graph); sizes.size() > 1) metrics["macs_at"] = sizes;  // more than one sample: its length
  metrics["nodes"] = graph.nodes.size();
  return metrics;
}

Json history_of(const Json& history) {
  if (!history.is_array() || history.empty()) return nullptr;
  return {{"epochs", history.size()}, {"first", history.front()}, {"last", history.back()}};
}

/// Without matrix and pictures.
Json evaluation_of(const Json& evaluation) {
  if (!evaluation.is_object()) return nullptr;
  Json facts = Json::object();
  for (const char* key : {"split", "n", "top1"})
    if (evaluation.contains(key)) facts[key] = evaluation[key];
  return facts;
}

Json lines_of(const Json& provenance) {
  Json lines = Json::array();
  if (provenance.is_array())
    for (const Json& step : provenance) lines.push_back(provenance_line(step));
  return lines;
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

/// The record for people: a block of facts, the tensors as columns, the chain.
std::string table_text(const core::Record& record, const io::Checkpoint& checkpoint) {
  const Json& fields = record.fields;
  std::string text;
  const auto fact = [&](const char* name, const std::string& value) { text += fmt::format("{:<14}{}\n", name, value); };
  fact("file", checkpoint.path);
  fact("digest", checkpoint.digest);
  if (fields.contains("model")) fact("model", text_of(fields["model"]));
  for (const auto& [name, value] : fields["metrics"].items()) fact(name.c_str(), grouped(value.get<std::int64_t>()));
  if (fields.contains("labels")) fact("labels", fields["labels"].dump().substr(0, 110));
  if (fields.contains("preprocessing")) fact("preprocessing", fields["preprocessing"].dump().substr(0, 110));
  if (fields.contains("history")) fact("history", fmt::format("{} epochs, last {}", fields["history"]["epochs"].dump(), fields["history"]["last"].dump()));
  if (fields.contains("evaluation")) fact("evaluation", fields["evaluation"].dump());
  std::size_t width = 4;
  for (const auto& [name, array] : checkpoint.tensors) width = std::max(width, name.size());
  text += fmt::format("\n{:<{}}  {:<9} {:>12}  shape\n", "tensor", width, "dtype", "bytes");
  for (const auto& [name, array] : checkpoint.tensors)
    text += fmt::format("{:<{}}  {:<9} {:>12}  {}\n", name, width, io::dtype_name(array.dtype), grouped(static_cast<std::int64_t>(array.bytes())),
                        io::shape_text(array.shape));
  if (!fields["provenance"].empty()) text += "\nprovenance, oldest first\n";
  for (const Json& line : fields["provenance"]) text += "  " + line.get<std::string>() + "\n";
  return text;
}

}  // namespace inspecting

std::string provenance_line(const io::Json& step) {
  using inspecting::text_of;
  if (!step.is_object()) return step.dump();
  std::string line = step.contains("time") ? text_of(step["time"]) + " " : "";
  line += step.contains("tool") ? text_of(step["tool"]) : "unknown tool";
  if (step.contains("version")) line += " " + text_of(step["version"]);
  if (step.contains("argv") && step["argv"].is_array() && step["argv"].size() > 1) {
    line += ":";
    for (std::size_t i = 1; i < step["argv"].size(); ++i) line += " " + text_of(step["argv"][i]);
  }
  if (step.contains("parents") && step["parents"].is_array() && !step["parents"].empty()) {
    line += " (from";
    for (const io::Json& parent : step["parents"]) line += " " + text_of(parent).substr(0, 12);
    line += ")";
  }
  return line;
}

void inspect(const ConvertCommand& options, core::Record& record) {
  if (is_weights_name(options.inputs[0])) return inspect_weights(options, record);
  const io::Checkpoint checkpoint = io::load_input(options.inputs[0], {.verify = false, .tensors = false});
  record.input("model", checkpoint.path, checkpoint.digest);
  record["format"] = io::kFormatVersion;
  record["metrics"] = inspecting::metrics_of(checkpoint);
  if (checkpoint.graph.is_object() && checkpoint.graph.contains("meta") && checkpoint.graph["meta"].is_object())
    record["model"] = checkpoint.graph["meta"].value("arch", io::Json("graph"));
  if (!checkpoint.labels.is_null()) record["labels"] = checkpoint.labels;
  if (!checkpoint.preprocessing.is_null()) record["preprocessing"] = checkpoint.preprocessing;
  if (!checkpoint.tokenizer.is_null()) record["tokenizer"] = true;
  if (const io::Json history = inspecting::history_of(checkpoint.history); !history.is_null()) record["history"] = history;
  if (const io::Json evaluation = inspecting::evaluation_of(checkpoint.evaluation); !evaluation.is_null()) record["evaluation"] = evaluation;
  record["provenance"] = inspecting::lines_of(checkpoint.provenance);
  record["tensors"] = inspecting::table_of(checkpoint.tensors);
  if (!checkpoint.state_tensors.empty()) record["state_tensors"] = checkpoint.state_tensors.size();
  if (options.common.format == "table") record.text = inspecting::table_text(record, checkpoint);
}

}  // namespace ds::commands

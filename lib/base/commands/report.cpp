#include "base/commands/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/core/yaml.h"
#include "base/io/checkpoint.h"
#include "base/io/checkpoint_format.h"
#include "base/io/checkpoint_image.h"
#include "base/io/endpoint.h"
#include "base/io/files.h"
#include "base/report/dashboard.h"
#include "base/report/page.h"

namespace ds::commands {
namespace reporting {

constexpr std::int64_t kMostRecord = std::int64_t{1} << 28;
constexpr io::LoadOptions kDocuments{.tensors = false};

/// A record in JSON or YAML. What is neither is an input that cannot be read, not a wrong configuration.
report::Json parse_record(const std::string& text, const std::string& name) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw Error(Exit::kInput, name, "is empty, expected a checkpoint or a record");
  if (text[first] == '{') return io::format::parse_document(text.data(), text.size(), name);
  try {
    return core::json_from_yaml(text, name);
  } catch (const Error&) {
    throw Error(Exit::kInput, name, "is neither a checkpoint (no HDF5 signature) nor a record (not YAML)");
  }
}

struct Input {
  const std::string& given;
  report::Collector& collector;
  core::Record& record;

  void add(const io::Checkpoint& checkpoint, const std::string& name, std::int64_t bytes) const {
    collector.add(checkpoint, name, bytes);
    record.input("model", checkpoint.path, checkpoint.digest);
  }

  /// The model that a record on stdin tells of is the input, as for every tool; a record that made none, such as ds-bench's, is one itself.
  void add_stdin() const {
    const io::Bytes bytes = io::read_stdin();
    if (bytes.size == 0) throw Error(Exit::kInput, "-", "stdin is empty, expected a record or a checkpoint", "did the tool before it fail?");
    if (io::has_signature(bytes)) return add(io::load_image(bytes, "-", kDocuments), "stdin", static_cast<std::int64_t>(bytes.size));
    const std::string text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    const report::Json json = parse_record(text, "-");
    const report::Json& outputs = report::member_at(json, "outputs");
    if (report::text_at(outputs.is_array() && !outputs.empty() ? outputs[0] : report::Json(), "name") != "model") return add_record(json, text);
    const io::Checkpoint checkpoint = io::load_recorded(bytes, kDocuments);
    add(checkpoint, checkpoint.path, static_cast<std::int64_t>(std::filesystem::file_size(checkpoint.path)));
  }

  void add_record(const report::Json& json, const std::string& text) const {
    collector.add(json, given);
    record.input("record", given, io::sha256(text.data(), text.size()));
  }

  void add() const {
    if (given == "-") return add_stdin();
    const io::Bytes bytes = io::map_file(given);
    if (io::has_signature(bytes)) return add(io::load(given, kDocuments), given, static_cast<std::int64_t>(bytes.size));
    const std::string text = io::read_file(given, kMostRecord);
    add_record(parse_record(text, given), text);
  }
};

void write(const ReportCommand& options, const std::string& page, core::Record& record) {
  const auto put = [&](io::Sink& sink) { sink.write(page.data(), page.size()); };
  if (options.output == "-")
    io::write_stdout(put);
  else
    io::replace_file(options.output, options.common.force, put);
  record.output("report", options.output, io::sha256(page.data(), page.size()));
}

/// The metrics that a run tells while it goes on, and the dashboard that shows them.
void run_dashboard(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ReportCommand&>(base);
  if (options.dashboard != "-") io::check_output(options.dashboard, {}, options.common.force);
  const report::Table table = report::watched_table();
  if (options.common.format == "table") record.text = table.text();
  if (options.common.format == "md") record.text = table.markdown();
  if (options.common.format == "csv") record.text = table.csv();
  record["metrics"] = report::Json::array();
  for (const report::Watched& m : report::watched()) record["metrics"].push_back(m.name);
  if (options.common.dry_run) return;
  const std::string text = report::dashboard().dump(2) + '\n';
  const auto put = [&](io::Sink& sink) { sink.write(text.data(), text.size()); };
  if (options.dashboard == "-")
    io::write_stdout(put);
  else
    io::replace_file(options.dashboard, options.common.force, put);
  record.output("dashboard", options.dashboard, io::sha256(text.data(), text.size()));
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ReportCommand&>(base);
  if (!options.output.empty()) io::check_output(options.output, options.inputs, options.common.force);
  report::Collector collector;
  for (const std::string& input : options.inputs) Input{input, collector, record}.add();
  const report::Facts facts = collector.finish();
  if (facts.models.empty()) throw Error(Exit::kInput, options.inputs[0], "tells of no model");
  record["models"] = report::Json::array();
  for (const report::Model& m : facts.models) record["models"].push_back(report::figures(m));
  const report::Table table = report::headline(facts);
  if (options.common.format == "table") record.text = table.text();
  if (options.common.format == "md") record.text = table.markdown();
  if (options.common.format == "csv") record.text = report::csv(report::figure_keys(), record["models"]);
  if (options.common.dry_run || options.output.empty()) return;
  write(options, report::html(facts, {options.title}), record);
}

const core::BaseCommand command{"report", run};
const core::BaseCommand dashboard_command{"dashboard", run_dashboard};

}  // namespace reporting

void ReportCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "checkpoint, or record (YAML or JSON) of ds-bench -o, ds-eval and the like; at most one -, for stdin",
         .value_name = "FILE",
         .flag_only = true,
         .positional = true,
         .path = true},
        inputs);
  f.add({.name = "output",
         .doc = "HTML file to write, or -; without it the table of models is all there is",
         .letter = 'o',
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        output);
  f.add({.name = "title", .doc = "heading of the page; default: the architecture and the data", .alias = "title", .value_name = "TEXT"}, title);
  f.add({.name = "dashboard",
         .doc = "write the dashboard of the metrics of runs, for Grafana, to this file, or -; --format table shows the metrics",
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        dashboard);
  f.add({.name = "replay-mlflow",
         .doc = "send what a tracking server of MLflow missed, from the mlflow.jsonl that a warning of ds-train named",
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        replay_mlflow);
  f.add({.name = "mlflow", .doc = "server for --replay-mlflow; default: the one that the file names", .value_name = "URL", .flag_only = true}, mlflow);
  common.fields(f);
}

void ReportCommand::check() const {
  const int jobs = !inputs.empty() + !dashboard.empty() + !replay_mlflow.empty();
  if (jobs == 0) throw Error(Exit::kUsage, "FILE", "is required: a checkpoint or a record");
  if (jobs > 1) throw Error(Exit::kUsage, "FILE", "a report, --dashboard and --replay-mlflow are three jobs", "give one of them");
  if (!mlflow.empty() && replay_mlflow.empty()) throw Error(Exit::kUsage, "--mlflow", "goes with --replay-mlflow");
  if (!mlflow.empty()) io::check_endpoint(mlflow, "--mlflow");
  if (std::count(inputs.begin(), inputs.end(), "-") > 1) throw Error(Exit::kUsage, "FILE", "two inputs are -, at most one can be stdin");
}

}  // namespace ds::commands

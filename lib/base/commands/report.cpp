#include "base/commands/report.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/core/yaml.h"
#include "base/io/checkpoint.h"
#include "base/io/files.h"
#include "base/report/page.h"

namespace ds::commands {
namespace reporting {

constexpr std::int64_t kMostRecord = std::int64_t{1} << 28;

bool is_hdf5(const std::string& path) {
  static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  const io::Bytes bytes = io::map_file(path);
  return bytes.size >= sizeof signature && std::equal(signature, signature + sizeof signature, reinterpret_cast<const unsigned char*>(bytes.data));
}

/// A record in JSON or YAML. What is neither is an input that cannot be read, not a wrong configuration.
report::Json read_record(const std::string& path) {
  const std::string text = io::read_file(path, kMostRecord);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw Error(Exit::kInput, path, "is empty, expected a checkpoint or a record");
  if (text[first] == '{') {
    const report::Json json = report::Json::parse(text, nullptr, false);
    if (json.is_discarded()) throw Error(Exit::kInput, path, "is neither a checkpoint (no HDF5 signature) nor a record (not JSON)");
    return json;
  }
  try {
    return core::json_from_yaml(text, path);
  } catch (const Error&) {
    throw Error(Exit::kInput, path, "is neither a checkpoint (no HDF5 signature) nor a record (not YAML)");
  }
}

std::int64_t file_bytes(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

void add_input(const std::string& input, report::Collector& collector, core::Record& record) {
  if (input != "-" && !is_hdf5(input)) {
    const std::string text = io::read_file(input, kMostRecord);
    collector.add(read_record(input), input);
    record.input("record", input, io::sha256(text.data(), text.size()));
    return;
  }
  const io::Checkpoint checkpoint = io::load_input(input, {.tensors = false});
  const bool piped = checkpoint.path == "-";
  collector.add(checkpoint, input == "-" ? (piped ? "stdin" : checkpoint.path) : input, piped ? 0 : file_bytes(checkpoint.path));
  record.input("model", checkpoint.path, checkpoint.digest);
}

void write(const ReportCommand& options, const std::string& page, core::Record& record) {
  if (options.output == "-") io::write_stdout([&](io::Sink& sink) { sink.write(page.data(), page.size()); });
  else io::replace_file(options.output, options.common.force, [&](io::Sink& sink) { sink.write(page.data(), page.size()); });
  record.output("report", options.output, io::sha256(page.data(), page.size()));
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ReportCommand&>(base);
  if (!options.output.empty()) io::check_output(options.output, options.inputs, options.common.force);
  report::Collector collector;
  for (const std::string& input : options.inputs) add_input(input, collector, record);
  const report::Facts facts = collector.finish();
  if (facts.models.empty()) throw Error(Exit::kInput, options.inputs[0], "tells of no model");
  const report::Table table = report::headline(facts);
  if (options.common.format == "table") record.text = table.text();
  if (options.common.format == "md") record.text = table.markdown();
  if (options.common.format == "csv") record.text = table.csv();
  record["models"] = report::Json::array();
  for (const report::Model& m : facts.models) {
    report::Json row = {{"name", m.name}, {"digest", m.digest}, {"dominated", m.dominated}};
    if (m.score) row["top1"] = m.score->top1, row["split"] = m.score->split;
    if (m.latency) row["latency_p50_s"] = m.latency->p50;
    if (m.tensor_bytes > 0) row["tensor_bytes"] = static_cast<std::int64_t>(m.tensor_bytes);
    record["models"].push_back(row);
  }
  if (options.common.dry_run || options.output.empty()) return;
  write(options, report::html(facts, {options.title, core::invocation().argv}), record);
}

const core::BaseCommand command{"report", run};

}  // namespace reporting

void ReportCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "checkpoint, or record (YAML or JSON) of ds-bench -o, ds-eval and the like; at most one -, for stdin",
         .value_name = "FILE",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        inputs);
  f.add({.name = "output", .doc = "HTML file to write, or -; without it only the table of models is told", .letter = 'o', .value_name = "FILE", .flag_only = true, .path = true},
        output);
  f.add({.name = "title", .doc = "heading of the page; default: the architecture and the data", .alias = "title", .value_name = "TEXT"}, title);
  common.fields(f);
}

void ReportCommand::check() const {
  if (std::count(inputs.begin(), inputs.end(), "-") > 1) throw Error(Exit::kUsage, "FILE", "two inputs are -, at most one can be stdin");
}

}  // namespace ds::commands

#include "base/commands/convert_onnx.h"

#include <unistd.h>

#include <filesystem>

#include "base/commands/convert_formats.h"
#include "base/commands/onnx_outputs.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/io/files.h"

namespace ds::commands {
namespace onnx_convert {

/// Reads the model back, holds its graph and tensors against those that were to be written, and its outputs against the graph's.
void verify(const ConvertCommand& options, const OnnxModule& module, const graph::Graph& graph, const std::map<std::string, io::Array>& tensors,
            core::Record& record) {
  const OnnxFile back = module.read(options.output, {});
  double largest = 0;
  std::string problem = compare_tensors(tensors, back.file.tensors, largest);
  if (problem.empty() && (!back.own || graph::to_json(back.graph) != graph::to_json(graph))) problem = "the graph is another";
  if (!problem.empty()) throw Error(Exit::kFailure, options.output, "what was read back is not what was written: " + problem);
  const OnnxOutputs ran = run_both(options, options.output, graph, tensors, record);
  tell_verified(options, {.tensors = tensors.size(), .largest_difference = largest, .outputs = ran.apart, .not_run = ran.not_run}, record);
}

void to_onnx(const ConvertCommand& options, core::Record& record) {
  const OnnxModule& module = onnx_module();
  const io::Checkpoint checkpoint = io::load_input(options.inputs[0], {.verify = options.verify});
  record.input("model", checkpoint.path, checkpoint.digest);
  const graph::Graph graph = graph::from_json(checkpoint.graph, checkpoint.path);
  graph::verify(graph, checkpoint.path);
  check_tensors(graph, checkpoint.tensors, checkpoint.path);
  if (options.common.dry_run) return;
  const std::string beside = module.write(graph, checkpoint.tensors, documents_of(checkpoint), options.output,
                                          {.overwrite = options.common.force, .external = options.external_data});
  record.output("model", io::absolute(options.output), checkpoint.digest);
  if (!beside.empty()) record["data"] = io::absolute((std::filesystem::path(options.output).parent_path() / beside).string());
  try {
    verify(options, module, graph, checkpoint.tensors, record);
  } catch (...) {  // what is not what it should be is not left
    unlink(options.output.c_str());
    if (!beside.empty()) unlink((std::filesystem::path(options.output).parent_path() / beside).c_str());
    throw;
  }
}

void from_onnx(const ConvertCommand& options, core::Record& record) {
  const std::string& input = options.inputs[0];
  OnnxFile found = onnx_module().read(input, {.own = options.own_graph});
  const io::Bytes bytes = io::map_file(input);
  const std::string digest = io::sha256(bytes.data, bytes.size);
  record.input("model", io::absolute(input), digest);
  for (const std::string& note : found.notes) core::warn(input + ": " + note);
  if (!found.notes.empty()) record["notes"] = found.notes;
  io::Checkpoint checkpoint;
  bool same = false;
  if (found.own) {
    checkpoint = from_own(found.file, input, same);
    record["same_model"] = same;  // false: weights were changed since it was written
  } else {
    fit_dtypes(found.graph, found.file.tensors, record);
    check_tensors(found.graph, found.file.tensors, input);
    check_finite(found.file.tensors, input);
    checkpoint.graph = graph::to_json(found.graph);
    checkpoint.tensors = std::move(found.file.tensors);
    describe(options, found.graph, checkpoint);
    record["preprocessing"] = checkpoint.preprocessing;
  }
  if (options.common.dry_run) return;
  io::Json step = {{"parents", io::Json::array()}, {"onnx", {{"file", std::filesystem::path(input).filename().string()}, {"sha256", digest}}}};
  if (same) step["parents"].push_back(found.file.metadata.at("ds.digest"));
  const OnnxOutputs ran = run_both(options, input, found.graph, checkpoint.tensors, record);
  const Verified outputs{.outputs = ran.apart, .not_run = ran.not_run};
  if (options.output == "-") tell_verified(options, outputs, record);  // before a byte of it is gone
  write_checkpoint(options, checkpoint, std::move(step), record, nullptr, outputs);
}

}  // namespace onnx_convert

void convert_onnx(const ConvertCommand& options, core::Record& record) {
  std::vector<std::string> inputs = {options.inputs[0]};
  if (!options.labels.empty()) inputs.push_back(options.labels);
  io::check_output(options.output, inputs, options.common.force);
  if (is_onnx_name(options.inputs[0])) onnx_convert::from_onnx(options, record);
  else onnx_convert::to_onnx(options, record);
}

}  // namespace ds::commands

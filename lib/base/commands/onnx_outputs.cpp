#include "base/commands/onnx_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/commands/convert_formats.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/module.h"

namespace ds::commands {
namespace onnx_outputs {

/// Beyond this part of the largest output one side is not the other. A value of int8 may fall to either side of a step, and what follows with it.
constexpr double kTolerance = 1e-3, kRoundingTolerance = 0.25;

/// Tensors that are those of the graph, bit for bit, are read where the graph has them: two files of weights are never in memory at once.
void share(OnnxNodes& nodes, const std::map<std::string, io::Array>& tensors) {
  for (auto& [name, array] : nodes.tensors) {
    const auto ours = tensors.find(name);
    if (ours == tensors.end() || ours->second.dtype != array.dtype || ours->second.shape != array.shape) continue;
    if (std::memcmp(ours->second.data, array.data, array.bytes()) != 0) continue;
    give_back(array.data, array.bytes());
    array = ours->second;
  }
}

OnnxOutputs find(const ConvertCommand& options, const std::string& onnx, const graph::Graph& graph, const std::map<std::string, io::Array>& tensors,
                 core::Record& record) {
  OnnxOutputs found;
  try {
    OnnxNodes nodes = onnx_module().nodes(onnx);
    share(nodes, tensors);
    OnnxComparison comparison;
    comparison.common = options.common;
    comparison.nodes = &nodes;
    comparison.graph = &graph;
    comparison.tensors = &tensors;
    comparison.found = &found;
    core::run_engine("onnx-outputs", comparison, record);
  } catch (const Error& e) {
    if (e.code() == Exit::kFailure || e.code() == Exit::kInterrupted) throw;
    found = {};
    found.not_run = e.where().empty() ? e.message() : e.where() + ": " + e.message();
  }
  return found;
}

}  // namespace onnx_outputs

OnnxOutputs run_both(const ConvertCommand& options, const std::string& onnx, const graph::Graph& graph, const std::map<std::string, io::Array>& tensors,
                     core::Record& record) {
  if (!options.run_both) return {.not_run = "--no-run"};
  const OnnxOutputs found = onnx_outputs::find(options, onnx, graph, tensors, record);
  if (!found.not_run.empty()) {
    core::info(fmt::format("{}: its outputs are not compared: {}", onnx, found.not_run));
    return found;
  }
  const double tolerance = found.rounds ? onnx_outputs::kRoundingTolerance : onnx_outputs::kTolerance;
  if (!(found.apart <= tolerance * std::max(1.0, found.largest)))
    throw Error(Exit::kFailure, onnx, fmt::format("run node by node its outputs differ by {:g} from the model's, of at most {:g}", found.apart, found.largest));
  return found;
}

}  // namespace ds::commands

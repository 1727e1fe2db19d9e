// A model of ONNX and a graph on the same inputs: how a conversion between them is verified.
#pragma once
#include <map>
#include <string>

#include "base/commands/convert.h"
#include "base/commands/onnx_module.h"
#include "base/core/tool.h"

namespace ds::commands {

/// What came of running both sides.
struct OnnxOutputs {
  double apart = -1;    ///< largest difference of their outputs, absolute; < 0: not both of them ran
  double largest = 0;   ///< of the graph's outputs, absolute
  bool rounds = false;  ///< the graph has int8 ops, whose values may fall to either side of a step
  std::string not_run;  ///< why not: "node 'a' (Det): ..."
};

/// What the engine's command "onnx-outputs" takes: no command line makes it.
struct OnnxComparison : core::CommandOptions {
  const OnnxNodes* nodes = nullptr;
  const graph::Graph* graph = nullptr;
  const std::map<std::string, io::Array>* tensors = nullptr;  ///< of the graph
  OnnxOutputs* found = nullptr;
  void fields(core::Fields&) override {}
};

/// Loads the engine, reads the file's nodes and runs them one by one as ONNX words them, the graph by the executor. A file or a node that cannot be
/// run, or an engine that is not there, is told in `not_run`. Throws ds::Error(kFailure) where the outputs are so far apart that one side is wrong.
OnnxOutputs run_both(const ConvertCommand& options, const std::string& onnx, const graph::Graph& graph, const std::map<std::string, io::Array>& tensors,
                     core::Record& record);

}  // namespace ds::commands

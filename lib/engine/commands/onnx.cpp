// What ds-convert asks of the engine for ONNX: a graph and a file's nodes on the same inputs.
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <optional>

#include "base/commands/onnx_outputs.h"
#include "base/core/error.h"
#include "engine/exec/executor.h"
#include "engine/exec/torchscript.h"
#include "engine/reference/call.h"

namespace ds::commands {
namespace {

using Tensors = std::vector<at::Tensor>;

/// Rows for axis 0, a length for others; sides of images that nets of five halvings take.
graph::Bindings sizes_of(const graph::Graph& graph, std::int64_t rows, std::int64_t length) {
  graph::Bindings sizes;
  for (const graph::Input& input : graph.inputs)
    for (std::size_t axis = 0; axis < input.type.dims.size(); ++axis)
      for (const std::string& name : input.type.dims[axis].symbols())
        sizes.emplace(name, axis == 0 ? rows : input.type.dims.size() == 4 ? 64 : length);
  return sizes;
}

void compare(const Tensors& ours, const Tensors& theirs, OnnxOutputs& found) {
  if (ours.size() != theirs.size())
    throw Error(Exit::kFailure, "outputs", std::to_string(theirs.size()) + " of the file, expected " + std::to_string(ours.size()));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].sizes() != theirs[i].sizes()) throw Error(Exit::kFailure, "output " + std::to_string(i), "has another shape when the file is run node by node");
    const at::Tensor a = ours[i].to(at::kDouble), b = theirs[i].to(at::kDouble);
    const double apart = a.sub(b).abs().max().item<double>();
    if (!(apart <= found.apart)) found.apart = apart;  // NaN counts too
    found.largest = std::max(found.largest, a.abs().max().item<double>());
  }
}

/// The outputs, or nothing where they cannot be had: `why` then says so.
template <class Run>
std::optional<Tensors> outputs_of(const Run& run, const std::string& side, std::string& why) {
  try {
    return run();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const Error& e) {
    why = e.where().empty() ? e.message() : e.where() + ": " + e.message();
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    why = side + ": " + text.substr(0, text.find('\n'));
  }
  return std::nullopt;
}

void run(const core::CommandOptions& base, core::Record&) {
  const auto& c = static_cast<const OnnxComparison&>(base);
  const c10::NoGradGuard off;
  exec::Model model;
  model.graph = *c.graph;
  for (const auto& [name, array] : *c.tensors) model.tensors[name] = exec::to_tensor(array);
  model.to_channels_last();  // as the tools run it
  c.found->rounds = model.is_quantized();
  exec::Executor executor(model);
  OnnxOutputs found = *c.found;
  for (const auto& [rows, length] : {std::pair<std::int64_t, std::int64_t>{1, 2}, {4, 4}}) {  // one row alone, and more of them
    const Tensors inputs = exec::sample_inputs(model.graph, sizes_of(model.graph, rows, length));
    const auto ours = outputs_of([&] { return executor.run(inputs, {}); }, "the graph", c.found->not_run);
    if (!ours) return;
    const auto theirs = outputs_of([&] { return reference::run(*c.nodes, inputs); }, "the file's nodes", c.found->not_run);
    if (!theirs) return;
    compare(*ours, *theirs, found);
  }
  *c.found = found;
}

const core::Body<core::Command> command{"command", "onnx-outputs", run};

}  // namespace
}  // namespace ds::commands

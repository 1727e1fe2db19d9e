// ds-convert model.h5 -o model.ts
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/commands/convert_formats.h"
#include "base/core/error.h"
#include "engine/commands/session.h"
#include "engine/exec/executor.h"
#include "engine/exec/torchscript.h"

namespace ds::commands {
namespace {

/// Beyond this part of the largest output the archive is not what the model is.
constexpr double kTolerance = 1e-3;

/// The largest difference between the outputs of both at one choice of sizes; `largest` grows to the largest output.
double compare(exec::Executor& executor, exec::TorchScript& script, const graph::Bindings& sizes, double& largest) {
  const std::vector<at::Tensor> inputs = exec::sample_inputs(executor.model().graph, sizes);
  const std::vector<at::Tensor> ours = executor.run(inputs, {}), theirs = script.run(inputs);
  if (ours.size() != theirs.size()) throw Error(Exit::kFailure, "TorchScript", fmt::format("{} outputs, expected {}", theirs.size(), ours.size()));
  double apart = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].sizes() != theirs[i].sizes()) throw Error(Exit::kFailure, "TorchScript", fmt::format("output {} has another shape", i));
    const double difference = ours[i].to(at::kDouble).sub(theirs[i].to(at::kDouble)).abs().max().item<double>();
    if (!(difference <= apart)) apart = difference;  // NaN counts too
    largest = std::max(largest, ours[i].to(at::kDouble).abs().max().item<double>());
  }
  return apart;
}

/// Loads the file back and runs both sides on the same inputs, at sizes at which it was not traced: one row alone, and more of them.
double outputs_apart(exec::Model& model, const std::string& path) {
  const c10::NoGradGuard off;
  model.to_channels_last();  // as the tools run it
  exec::Executor executor(model);
  exec::TorchScript script = exec::TorchScript::load(path);
  double apart = 0, largest = 0;
  for (const auto& [rows, other] : {std::pair<std::int64_t, std::int64_t>{1, 2}, {4, 4}}) {
    graph::Bindings sizes;
    for (const std::string& name : exec::open_sizes(model.graph)) sizes[name] = name == "N" ? rows : other;
    const double difference = compare(executor, script, sizes, largest);
    if (!(difference <= apart)) apart = difference;
  }
  if (!(apart <= kTolerance * std::max(1.0, largest)))
    throw Error(Exit::kFailure, path, fmt::format("its outputs differ by {:g} from the model's, of at most {:g}; no output is left", apart, largest));
  return apart;
}

/// The interpreter's message ends in what happened, after the lines of the script.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ConvertCommand&>(base);
  io::check_output(options.output, options.inputs, options.common.force);
  Opened opened = open_model("model", options.inputs.at(0), record);
  const io::TensorFile file = travelling(opened.checkpoint);
  const exec::TorchScript script(opened.model);
  if (options.common.dry_run) return;
  io::replace_file(options.output, options.common.force, [&](io::Sink& sink) {
    script.write([&sink](const void* data, std::size_t bytes) { sink.write(data, bytes); }, {{"ds.json", core::Json(file.metadata).dump()}});
  });
  record.output("model", io::absolute(options.output), opened.checkpoint.digest);
  double apart = 0;
  try {
    apart = outputs_apart(opened.model, options.output);
  } catch (const Error&) {
    std::filesystem::remove(options.output);
    throw;
  } catch (const std::exception& error) {  // the interpreter's own, c10::Error and others
    std::filesystem::remove(options.output);
    throw Error(Exit::kFailure, options.output, "what was written does not run: " + last_line(error.what()));
  }
  verify_written(options, file.tensors, record, {.outputs = apart});
}

const core::Body<core::Command> command{"command", "convert-torchscript", run};

}  // namespace
}  // namespace ds::commands

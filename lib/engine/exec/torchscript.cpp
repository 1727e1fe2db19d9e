#include "engine/exec/torchscript.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/shape_analysis.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/csrc/jit/serialization/import.h>

#include <set>

#include "base/core/error.h"
#include "engine/exec/executor.h"
#include "engine/exec/trace_sizes.h"

namespace ds::exec {
namespace jit = torch::jit;

struct TorchScript::Parts {
  jit::Module module;
};

namespace {

constexpr std::size_t kMostSizes = 4;                        ///< 2^4 traces
constexpr std::int64_t kLow = 2, kHigh = 3, kCheck = 5;      ///< of each open size; 1 would be broadcast

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;; ) {
    const std::size_t dot = name.find('.', at);
    parts.push_back(name.substr(at, dot == std::string::npos ? dot : dot - at));
    if (dot == std::string::npos) return parts;
    at = dot + 1;
  }
}

/// Modules in modules, by the dots of the tensors' names.
class Tree {
 public:
  Tree() : unit_(std::make_shared<jit::CompilationUnit>()), root_(make()) {}

  jit::Module build(const Model& model) {
    std::set<std::string> folders;  // names that have others below them
    for (const graph::TensorSpec& spec : model.graph.tensors)
      for (std::size_t dot = spec.name.find('.'); dot != std::string::npos; dot = spec.name.find('.', dot + 1)) folders.insert(spec.name.substr(0, dot));
    for (const graph::TensorSpec& spec : model.graph.tensors) {
      std::vector<std::string> parts = parts_of(spec.name);
      const bool plain = std::none_of(parts.begin(), parts.end(), [](const std::string& part) { return part.empty(); });
      if (!plain || folders.count(spec.name)) {
        std::string flat = spec.name;
        std::replace(flat.begin(), flat.end(), '.', '_');
        parts = {flat + "_"};
      }
      add(parts, model.tensors.at(spec.name), spec.role != graph::Role::kParameter);
    }
    return root_;
  }

 private:
  jit::Module make() {
    jit::Module module(c10::QualifiedName(fmt::format("__torch__.ds.Module{}", count_++)), unit_);
    module.register_attribute("training", c10::BoolType::get(), false);
    return module;
  }

  void add(const std::vector<std::string>& parts, const at::Tensor& tensor, bool buffer) {
    jit::Module at = root_;
    std::string path;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      path += parts[i] + ".";
      auto found = modules_.find(path);
      if (found == modules_.end()) {
        found = modules_.emplace(path, make()).first;
        at.register_module(parts[i], found->second);
      }
      at = found->second;
    }
    at.register_parameter(parts.back(), tensor, buffer);
  }

  int count_ = 0;
  std::shared_ptr<jit::CompilationUnit> unit_;
  jit::Module root_;
  std::map<std::string, jit::Module> modules_;
};

/// Constants on memory of their own: a kernel's table goes with the executor.
void keep_constants(jit::Graph& graph) {
  for (jit::Node* node : graph.nodes())
    if (node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value) && node->kindOf(c10::attr::value) == jit::AttributeKind::t)
      node->t_(c10::attr::value, node->t(c10::attr::value).clone());
}

SizedTrace trace_at(Model& model, jit::Module& module, const graph::Bindings& sizes) {
  Executor executor(model);
  std::vector<std::string> names;
  for (const graph::Input& input : model.graph.inputs) names.push_back(input.name);
  jit::Stack inputs;
  for (const at::Tensor& input : sample_inputs(model.graph, sizes)) inputs.emplace_back(input);
  const auto run = [&executor](const jit::Stack& given) {
    std::vector<at::Tensor> tensors;
    for (const c10::IValue& value : given) tensors.push_back(value.toTensor());
    return executor.run(tensors, {}, {.channels_last = false, .fuse = false});
  };
  run(inputs);  // what kernels make once, they make now: their tables are constants of the trace, not tensors that it sees being made and not filled
  const auto forward = [&](const jit::Stack& given) {
    std::vector<at::Tensor> outputs = run(given);
    if (outputs.size() == 1) return jit::Stack{outputs[0]};
    return jit::Stack{c10::ivalue::Tuple::create(std::vector<c10::IValue>(outputs.begin(), outputs.end()))};
  };
  auto [state, outputs] = jit::tracer::trace(
      inputs, forward, [](const at::Tensor&) { return ""; }, /*strict=*/false, /*force_outplace=*/false, &module, names);
  keep_constants(*state->graph);
  return {sizes, state->graph};
}

/// Where a size of each name is to be read: a dim that is this size alone.
std::map<std::string, SizeSource> sources_of(const graph::Graph& graph) {
  std::map<std::string, SizeSource> sources;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i)
    for (std::size_t d = 0; d < graph.inputs[i].type.dims.size(); ++d)
      if (const graph::Dim& dim = graph.inputs[i].type.dims[d]; dim.symbols().size() == 1 && dim.text() == *dim.symbols().begin())
        sources.emplace(dim.text(), SizeSource{i + 1, static_cast<std::int64_t>(d)});
  return sources;
}

}  // namespace

TorchScript::TorchScript(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TorchScript::TorchScript(TorchScript&&) noexcept = default;
TorchScript::~TorchScript() = default;

TorchScript::TorchScript(const Model& given) : parts_(std::make_unique<Parts>()) {
  if (given.is_quantized())
    throw Error(Exit::kUsage, "TorchScript", "has no form for int8 layers, which are computed by kernels of ours",
                "convert the float model, or write .onnx, which has them");
  Model model = given;
  model.require_grad(false);  // a constant may not require gradients
  const c10::NoGradGuard off;
  const std::map<std::string, SizeSource> sources = sources_of(model.graph);
  if (sources.size() != open_sizes(model.graph).size() || sources.size() > kMostSizes)
    throw Error(Exit::kFailure, "TorchScript", "the sizes of the inputs are not each a size of their own");
  jit::Module module = Tree().build(model);
  std::vector<SizedTrace> traces;
  for (std::size_t corner = 0; corner <= std::size_t{1} << sources.size(); ++corner) {
    graph::Bindings sizes;
    std::size_t bit = 0;
    const bool last = corner == std::size_t{1} << sources.size();
    for (const auto& [name, source] : sources) sizes[name] = last ? kCheck : corner >> bit++ & 1 ? kHigh : kLow;
    traces.push_back(trace_at(model, module, sizes));
    if (sources.empty()) break;
  }
  if (!sources.empty()) generalize(traces, sources);
  std::shared_ptr<jit::Graph> graph = traces.front().graph;
  jit::EraseShapeInformation(graph);
  jit::EliminateDeadCode(graph);
  module.type()->addMethod(
      module._ivalue()->compilation_unit()->create_function(c10::QualifiedName(*module.type()->name(), "forward"), std::move(graph)));
  parts_->module = std::move(module);
}

void TorchScript::write(const std::function<void(const void*, std::size_t)>& sink, const std::map<std::string, std::string>& extra) const {
  const jit::ExtraFilesMap files(extra.begin(), extra.end());
  jit::ExportModule(
      parts_->module,
      [&sink](const void* data, std::size_t bytes) {
        sink(data, bytes);
        return bytes;
      },
      files);
}

TorchScript TorchScript::load(const std::string& path) {
  auto parts = std::make_unique<Parts>();
  parts->module = jit::load(path);
  return TorchScript(std::move(parts));
}

std::vector<at::Tensor> TorchScript::run(const std::vector<at::Tensor>& inputs) {
  const c10::NoGradGuard off;
  const c10::IValue output = parts_->module.forward(std::vector<c10::IValue>(inputs.begin(), inputs.end()));
  if (output.isTensor()) return {output.toTensor()};
  std::vector<at::Tensor> outputs;
  for (const c10::IValue& value : output.toTupleRef().elements()) outputs.push_back(value.toTensor());
  return outputs;
}

}  // namespace ds::exec

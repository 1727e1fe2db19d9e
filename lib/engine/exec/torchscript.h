// TorchScript: a model as a module that torch.jit.load takes, in Python too.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/exec/model.h"

namespace ds::exec {

/// A float model traced through the executor, with plain ATen ops. Parameters and buffers are attributes of nested modules by the dots of their
/// names, as in PyTorch; a name that cannot be one (empty parts, a tensor where others have a module) has its dots as underscores.
/// forward takes the graph's inputs in order and gives its output, or a tuple of them. Sizes that the graph leaves open (N, S ...) stay open: it
/// is traced at several, and an integer that differs becomes the polynomial of the sizes that fits, which one more trace must confirm.
class TorchScript {
 public:
  /// Shares the model's tensors. Throws ds::Error(kUsage) for int8 ops, kFailure where sizes steer what is computed in another way.
  explicit TorchScript(const Model& model);
  ~TorchScript();
  TorchScript(TorchScript&&) noexcept;

  /// Hands the archive's bytes to `sink` in order. `extra` goes along as extra/NAME.
  void write(const std::function<void(const void*, std::size_t)>& sink, const std::map<std::string, std::string>& extra) const;
  /// From a file. Throws ds::Error(kFailure) where LibTorch does not read it. Its code is run by `run`: only for files just written.
  static TorchScript load(const std::string& path);
  /// The outputs in order.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs);

 private:
  struct Parts;
  explicit TorchScript(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Inputs that fit the graph at these sizes: floats in [-1, 1), the same each time; token ids within the table that is looked up; masks of
/// ones that end in a zero in every second row.
std::vector<at::Tensor> sample_inputs(const graph::Graph& graph, const graph::Bindings& sizes);
/// The symbols of the graph's inputs ("N", "S"), sorted.
std::vector<std::string> open_sizes(const graph::Graph& graph);

}  // namespace ds::exec

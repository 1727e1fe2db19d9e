// A graph with its tensors: what the executor runs, training changes and passes rewrite.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "base/graph/graph.h"
#include "base/io/checkpoint.h"

namespace ds::exec {

/// Every tensor of the graph's table has an entry, contiguous (4-D weights may be channels-last).
/// Float parameters are leaves that may require gradients.
struct Model {
  graph::Graph graph;
  std::map<std::string, at::Tensor> tensors;

  /// Names of the float parameters, in the order of the table.
  std::vector<std::string> parameters() const;
  void require_grad(bool on);
  /// Casts every float tensor (float64 for proofs). Integer tensors stay.
  void to(at::ScalarType dtype);
  /// Lays 4-D float parameters out as channels-last (values unchanged).
  void to_channels_last();
  bool is_quantized() const;  ///< has int8 ops
  Model clone() const;        ///< own copies of all tensors
};

/// A tensor on the array's memory (which it keeps alive), and back: a contiguous CPU tensor's memory as an array.
at::Tensor to_tensor(const io::Array& array);
io::Array to_array(const at::Tensor& tensor);
at::ScalarType scalar_type(io::DType dtype);
io::DType dtype_of(at::ScalarType type);

/// The checkpoint's graph, verified, with its tensors (sharing the mapping). Throws ds::Error(kInput).
Model model_from(const io::Checkpoint& checkpoint);
/// Puts graph and tensors into the checkpoint.
void store(const Model& model, io::Checkpoint& checkpoint);
/// Draws every tensor of a fresh graph by its initialiser, keyed by (seed, "init", tensor name).
Model make_model(graph::Graph graph, std::uint64_t seed);

}  // namespace ds::exec

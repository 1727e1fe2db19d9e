// Inputs for any net of the zoo, and a loss over all of its outputs: tests that run over every architecture know neither images nor tokens.
#pragma once
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/graph/graph.h"

namespace net_inputs {

inline at::Tensor wave(const std::vector<std::int64_t>& shape, double step) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kDouble)).mul(step).sin().mul(1.3).reshape(shape);
}

/// Entries of the smallest table that an input is looked up in.
inline std::int64_t rows(const ds::graph::Graph& graph, const std::string& input) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const ds::graph::Node* node : graph.users(input))
    if (node->op == "embedding") least = std::min(least, node->attrs.at("num_embeddings").get<std::int64_t>());
  return least;
}

/// A batch of n: float64 waves, indices below the rows of the tables that read them, and masks of which each sample has one token of padding more
/// than the one before. Sequences have `length` tokens.
inline std::vector<at::Tensor> make(const ds::graph::Graph& graph, std::int64_t n, std::int64_t length = 7) {
  ds::graph::Bindings sizes = {{"N", n}};
  for (const ds::graph::Input& input : graph.inputs)
    for (const ds::graph::Dim& dim : input.type.dims)
      for (const std::string& symbol : dim.symbols()) sizes.emplace(symbol, length);
  std::vector<at::Tensor> inputs;
  for (const ds::graph::Input& input : graph.inputs) {
    std::vector<std::int64_t> shape;
    std::int64_t elements = 1;
    for (const ds::graph::Dim& dim : input.type.dims) elements *= shape.emplace_back(dim.evaluate(sizes));
    if (input.type.dtype != ds::graph::DType::kI64) {
      inputs.push_back(wave(shape, 0.71));
    } else if (input.name.find("mask") != std::string::npos) {
      const at::Tensor tokens = at::arange(n).neg().add(shape.at(1)).unsqueeze(1);  // n, n - 1 ... are no padding
      inputs.push_back(at::arange(shape[1]).unsqueeze(0).lt(tokens).to(at::kLong));
    } else {
      inputs.push_back(at::arange(elements).mul(7).add(3).fmod(std::min<std::int64_t>(rows(graph, input.name), 1 << 20)).reshape(shape));
    }
  }
  return inputs;
}

/// Cross-entropy of every output over its classes (axis 1 of images, else the last), summed.
inline at::Tensor loss(const std::vector<at::Tensor>& outputs) {
  at::Tensor total;
  for (const at::Tensor& y : outputs) {
    const at::Tensor scores = y.dim() == 4 ? y.movedim(1, -1) : y, flat = scores.reshape({-1, scores.size(-1)});
    const at::Tensor one = at::cross_entropy_loss(flat, at::arange(flat.size(0)).mul(2).fmod(flat.size(1)));
    total = total.defined() ? total.add(one) : one;
  }
  return total;
}

}  // namespace net_inputs

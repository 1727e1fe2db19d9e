// Several traces of one model at different sizes, made one graph for every size. Internal to TorchScript's export.
#pragma once
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ds::exec {

/// A trace and the sizes at which it was made.
struct SizedTrace {
  std::map<std::string, std::int64_t> sizes;
  std::shared_ptr<torch::jit::Graph> graph;
};

/// Where a size is read at run time: dim of the graph's input (0 is the module itself).
struct SizeSource {
  std::size_t input = 0;
  std::int64_t dim = 0;
};

/// Makes the first trace's graph one for all sizes: an integer constant that differs between the traces becomes the polynomial, with one product
/// for every subset of the sizes, that fits the first 2^k of them (each size at its low and its high value); the last one must agree.
/// Throws ds::Error(kFailure) where the traces differ in another way.
void generalize(std::vector<SizedTrace>& traces, const std::map<std::string, SizeSource>& sources);

}  // namespace ds::exec

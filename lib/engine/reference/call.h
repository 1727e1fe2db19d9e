// ONNX's nodes as ATen says them, each alone and as the standard words it: nothing is recognised, fused or lowered. What a conversion made of a net
// is held against this. One op family a file, each op a function:
//   const core::Body<reference::NodeOp> body{"onnx-reference", "Add", add};
// Words: https://onnx.ai/onnx/operators/, of the opset that the file names.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/commands/onnx_module.h"
#include "base/core/registry.h"

namespace ds::reference {

/// A node with the values that it reads.
class Call {
 public:
  Call(const commands::OnnxNode& node, std::vector<at::Tensor> inputs, std::int64_t opset) : node_(node), inputs_(std::move(inputs)), opset_(opset) {}

  std::int64_t opset() const { return opset_; }
  std::size_t inputs() const { return inputs_.size(); }
  std::size_t outputs() const { return node_.outputs.size(); }
  bool has(std::size_t i) const { return i < inputs_.size() && inputs_[i].defined(); }
  const at::Tensor& in(std::size_t i = 0) const;
  /// The numbers of an input of integers, or the one number of an input.
  std::vector<std::int64_t> integers(std::size_t i) const;
  double number(std::size_t i) const;

  bool stated(const char* name) const { return node_.attributes.count(name) != 0; }
  std::int64_t i(const char* name, std::int64_t otherwise) const;
  double f(const char* name, double otherwise) const;
  std::string s(const char* name, const char* otherwise) const;
  std::vector<std::int64_t> ints(const char* name, std::vector<std::int64_t> otherwise) const;
  at::Tensor tensor(const char* name) const;
  const commands::OnnxNode& node() const { return node_; }

  /// `axis` counted from the front. Throws where there is no such axis.
  std::int64_t axis(std::int64_t axis, std::int64_t rank) const;
  /// Throws ds::Error(kInput) that names the node: it cannot be run here.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const commands::OnnxNode& node_;
  std::vector<at::Tensor> inputs_;
  std::int64_t opset_;
};

/// Kind "onnx-reference", by ONNX's name of the op. The outputs in order; those that nobody names may be left out.
using NodeOp = std::vector<at::Tensor>(const Call& call);

/// The outputs of the model for these inputs, in the file's order of both. Values are freed after their last use.
/// Throws ds::Error(kInput) for a node that has no function here or that is used in a way that has none; what ATen throws where shapes do not fit.
std::vector<at::Tensor> run(const commands::OnnxNodes& nodes, const std::vector<at::Tensor>& inputs);

}  // namespace ds::reference

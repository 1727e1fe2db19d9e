// Kernels: the forward of one op on tensors. One op family a file in exec/kernels/, registered by name:
//   const core::Body<exec::MakeKernel> body{"kernel", "conv2d", make_conv2d};
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "base/graph/schema.h"

namespace ds::exec {

/// What goes with each call of a model.
struct RunContext {
  bool training = false;          ///< dropout on, BatchNorm by batch statistics
  /// kBFloat16 or kHalf: conv, linear and attention compute in it (layer_type); Undefined = in the type of the weights.
  at::ScalarType autocast = at::ScalarType::Undefined;
  std::int64_t step = 0;          ///< optimizer step: part of the counter of random numbers
  std::uint64_t seed = 0;
  at::Tensor sample_ids = {};     ///< int64 [N]: global ids; undefined = 0..N-1
  bool update_statistics = true;  ///< BatchNorm in training updates its running statistics
};

/// A slot in another type than its own, kept from run to run as long as the weights stay what they are.
struct Cast {
  at::Tensor made;
  const void* data = nullptr;  ///< of what it was made from, and that one's version
  std::uint32_t version = 0;
  std::int64_t step = 0;       ///< RunContext::step in training, else -1
  bool grad = false;           ///< made with gradients
};

/// One call of a kernel: inputs, slots and outputs by position.
class StepArgs {
 public:
  /// @param casts one a slot, or null: slot_as then casts at each use
  StepArgs(const RunContext& context, at::Tensor* values, const int* in, int inputs, at::Tensor* const* slots, const int* out, Cast* casts = nullptr)
      : context(context), values_(values), in_(in), inputs_(inputs), slots_(slots), out_(out), casts_(casts) {}
  const RunContext& context;
  int inputs() const { return inputs_; }
  const at::Tensor& in(int i = 0) const { return values_[in_[i]]; }
  /// The slot at its place in Op::slots; undefined where the node has none.
  const at::Tensor& slot(int i) const { return *slots_[i]; }
  /// The slot in `type`: itself where it has it, else cast once a training step. Whoever writes weights past ATen (by pointer) with no new
  /// step bumps their version.
  at::Tensor slot_as(int i, at::ScalarType type) const;
  /// What a layer of this input and weight computes in: autocast's type for floats of 32 bits and less, else the weight's.
  at::ScalarType layer_type(const at::Tensor& x, const at::Tensor& weight) const;
  void out(at::Tensor value, int i = 0) { values_[out_[i]] = std::move(value); }

 private:
  at::Tensor* values_;
  const int* in_;
  int inputs_;
  at::Tensor* const* slots_;
  const int* out_;
  Cast* casts_;
};

/// Bound to one node: attributes are read once, in the constructor. Not shared between threads.
class Kernel {
 public:
  virtual ~Kernel();
  /// Called again for the same values where activations are recomputed: the same bytes must come out (update_statistics is off then).
  virtual void run(StepArgs& args) = 0;
  /// Weights changed by other means than in place: forget what was packed.
  virtual void forget() {}
};

struct BindContext {
  const graph::NodeView& view;
  bool training = false;       ///< the plan is for training: gradients are wanted
  bool channels_last = false;  ///< 4-D values are channels-last
};

using MakeKernel = std::unique_ptr<Kernel>(const BindContext& context);

/// A kernel from a function, for ops without state.
std::unique_ptr<Kernel> kernel(std::function<void(StepArgs&)> run);

/// A chain of nodes run by one kernel where each value in between has one user and is neither an output nor tapped.
/// Inputs of the fused step: those of the first node, then the further inputs of the later ones, in order. Slots: of all nodes, in order.
struct Fusion {
  std::vector<std::string> chain;  ///< ops: {"batch_norm2d", "relu"}
  bool training = true, inference = true;
  bool (*applies)(const std::vector<graph::NodeView>& nodes, const BindContext& context) = nullptr;  ///< null: always
  std::unique_ptr<Kernel> (*make)(const std::vector<graph::NodeView>& nodes, const BindContext& context) = nullptr;
};
/// Registered when the file is loaded; longer chains are tried first.
struct FusionRegistrar {
  explicit FusionRegistrar(Fusion fusion);
};
const std::vector<Fusion>& fusions();

}  // namespace ds::exec

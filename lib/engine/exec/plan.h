// A graph lowered for one way of running: a flat list of bound kernels.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/exec/executor.h"

namespace ds::exec {

class Plan {
 public:
  Plan(Model& model, const PlanOptions& options, const std::vector<std::string>& tapped);

  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs, const RunContext& context, const std::vector<Tap>& taps);
  /// Calls `see(node, value)` after each step.
  void walk(const std::vector<at::Tensor>& inputs, const RunContext& context, const std::function<bool(const std::string&, const at::Tensor&)>& see);
  std::vector<std::string> describe() const;
  bool fits(const PlanOptions& options, const std::vector<std::string>& tapped) const;

 private:
  struct Step {
    std::string name;                  ///< names of its nodes, joined by " + "
    std::string ops;
    std::unique_ptr<Kernel> kernel;
    std::vector<int> in, out;
    std::vector<at::Tensor*> slots;
    struct Slice {
      at::Tensor* whole;
      int axis;
      std::int64_t begin, length;
    };
    std::vector<Slice> slices;         ///< slots that are rows of a tensor: cut anew each run, since the tensor may require gradients
    std::unique_ptr<at::Tensor[]> cut;
    std::vector<int> last_use;         ///< values that nothing reads after this step
    struct Tapped {
      int value, tap;
    };
    std::vector<Tapped> taps;          ///< its outputs that are tapped, with the place in tapped_, in order
  };

  void lower();
  std::vector<std::size_t> chain_from(std::size_t node, const Fusion& fusion, const std::vector<bool>& taken) const;
  void add_step(const std::vector<std::size_t>& nodes, const Fusion* fusion);
  void find_last_uses();
  std::vector<Step::Tapped> taps_of(const std::string& value);
  int value_index(const std::string& value);
  void set_inputs(const std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& values) const;
  void run_step(Step& step, const RunContext& context, std::vector<at::Tensor>& values) const;

  Model& model_;
  PlanOptions options_;
  std::vector<std::string> tapped_;
  std::vector<graph::NodeView> views_;
  std::map<std::string, int> index_;
  std::vector<Step::Tapped> input_taps_;  ///< graph inputs that are tapped
  std::vector<int> results_;
  std::vector<Step> steps_;
};

}  // namespace ds::exec

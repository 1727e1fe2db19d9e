// A graph lowered for one way of running: a flat list of bound kernels.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/exec/executor.h"

namespace ds::exec {

class Plan : public std::enable_shared_from_this<Plan> {
 public:
  Plan(Model& model, const PlanOptions& options, const std::vector<std::string>& tapped);

  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs, const RunContext& context, const std::vector<Tap>& taps);
  /// Calls `see(node, value)` after each step, for each of its outputs. Checkpoints nothing.
  void walk(const std::vector<at::Tensor>& inputs, const RunContext& context, const std::function<bool(const std::string&, const at::Tensor&)>& see);
  std::vector<std::string> describe() const;
  std::vector<StepSketch> sketch() const;
  std::vector<Segment> segments() const;  ///< that are checkpointed
  bool fits(const PlanOptions& options, const std::vector<std::string>& tapped) const;

 private:
  struct Step {
    std::vector<std::int64_t> nodes;   ///< their places in the graph
    std::string name;                  ///< names of its nodes, joined by " + "
    std::string ops;
    bool still = false;                ///< runs as in evaluation while others are trained
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
    std::unique_ptr<Cast[]> casts;     ///< of the slots, for autocast
    std::vector<int> last_use;         ///< values that nothing reads after this step
    struct Tapped {
      int value, tap;
    };
    std::vector<Tapped> taps;          ///< its outputs that are tapped, with the place in tapped_, in order
  };

  /// Steps [begin, end) that backward runs again (checkpoint.h).
  struct Range {
    int begin = 0, end = 0, uses = 0;
    std::vector<std::vector<int>> value_use, slot_use;  ///< by step and place: which use of what comes from outside it is; -1: made inside
    std::vector<int> results;                           ///< values made inside that live on
  };
  struct Again;
  struct Recompute;

  void find_still();
  static const RunContext& context_of(const Step& step, const RunContext& context, RunContext& quiet);
  void lower();
  std::vector<std::size_t> chain_from(std::size_t node, const Fusion& fusion, const std::vector<bool>& taken) const;
  void add_step(const std::vector<std::size_t>& nodes, const Fusion* fusion);
  void find_last_uses();
  std::vector<Step::Tapped> taps_of(const std::string& value);
  int value_index(const std::string& value);
  void set_inputs(const std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& values) const;
  void run_step(Step& step, const RunContext& context, std::vector<at::Tensor>& values) const;
  static void call(const Step& step, StepArgs& args);
  void find_ranges(const std::map<std::string, graph::ValueType>& types);

  // segment.cpp
  void prepare(Range& range) const;
  static const at::Tensor& whole_slot(const Step& step, std::size_t k);
  void run_range(const Range& range, const RunContext& context, std::vector<at::Tensor>& values);
  std::vector<at::Tensor> recompute(const Range& range, const RunContext& context, const std::vector<at::Tensor>& leaves) const;

  Model& model_;
  PlanOptions options_;
  std::vector<std::string> tapped_;
  std::vector<graph::NodeView> views_;
  std::map<std::string, int> index_;
  std::vector<Step::Tapped> input_taps_;  ///< graph inputs that are tapped
  std::set<std::string> still_;           ///< nodes
  std::vector<int> results_;
  std::vector<Step> steps_;
  std::vector<Range> ranges_;  ///< in order
};

}  // namespace ds::exec

#include "engine/exec/estimate.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <limits>
#include <unordered_map>

#include "base/core/error.h"
#include "engine/exec/memory.h"
#include "engine/exec/plan.h"

namespace ds::exec {

namespace {

/// A block of memory from one event to another; `end` is the number of events where it outlives them all.
struct Block {
  std::size_t begin = 0, end = 0;
  std::int64_t bytes = 0;
};

struct Trace {
  std::vector<Block> blocks;
  std::vector<std::size_t> marks;  ///< events up to the end of each step of the plan, with what it set free
  std::size_t events = 0;
  std::vector<std::pair<std::size_t, bool>> order;  ///< block and whether it is taken or given back, by event
};

Trace digest(const std::vector<MemoryEvent>& events, std::vector<std::size_t> marks) {
  Trace trace;
  std::unordered_map<const void*, std::size_t> open;
  std::vector<std::size_t> kept(events.size() + 1, 0);  // events that are left of those before
  for (std::size_t i = 0; i < events.size(); ++i) {
    kept[i] = trace.order.size();
    const MemoryEvent& event = events[i];
    if (event.bytes > 0) {
      open[event.block] = trace.blocks.size();
      trace.order.emplace_back(trace.blocks.size(), true);
      trace.blocks.push_back({trace.order.size(), 0, event.bytes});
    } else if (const auto found = open.find(event.block); found != open.end()) {  // else it was there before
      trace.order.emplace_back(found->second, false);
      trace.blocks[found->second].end = trace.order.size();
      open.erase(found);
    }
  }
  kept[events.size()] = trace.events = trace.order.size();
  for (Block& block : trace.blocks)
    if (block.end == 0) block.end = trace.events + 1;
  for (std::size_t mark : marks) {
    while (mark < events.size() && events[mark].bytes < 0) ++mark;
    trace.marks.push_back(kept[mark]);
  }
  return trace;
}

/// A model on the same memory whose gradients are its own.
Model shadow_of(const Model& model) {
  Model shadow{model.graph, {}};
  for (const auto& [name, tensor] : model.tensors) shadow.tensors.emplace(name, tensor.detach().requires_grad_(tensor.requires_grad()));
  return shadow;
}

std::vector<at::Tensor> rows_of(const StepProbe& probe, std::int64_t rows) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& input : probe.inputs) inputs.push_back(input.narrow(0, 0, rows));
  return inputs;
}

RunContext context_of(const StepProbe& probe, std::int64_t rows) {
  RunContext context = probe.context;
  context.training = true;
  context.update_statistics = false;
  if (context.sample_ids.defined()) context.sample_ids = context.sample_ids.narrow(0, 0, rows);
  return context;
}

at::Tensor loss_of(const StepProbe& probe, const std::vector<at::Tensor>& outputs, std::int64_t rows) {
  if (probe.loss) return probe.loss(outputs, rows);
  at::Tensor total;
  for (const at::Tensor& output : outputs)
    if (output.requires_grad()) total = total.defined() ? total.add(output.sum()) : output.sum();
  return total;
}

/// Stops the record on every way out.
struct Recording {
  Recording() { start_trace(); }
  ~Recording() {
    if (on) stop_trace();
  }
  std::vector<MemoryEvent> end() {
    on = false;
    return stop_trace();
  }
  bool on = true;
};

/// A whole step of `rows` samples, or with `steps` the forward pass alone, marked after each step of the plan.
Trace record(Model& model, const StepProbe& probe, std::int64_t rows, bool steps) {
  const at::AutoGradMode on(true);
  Model shadow = shadow_of(model);
  PlanOptions options = probe.plan;
  options.training = true;
  const std::vector<at::Tensor> inputs = rows_of(probe, rows);
  const RunContext context = context_of(probe, rows);
  const auto plan = std::make_shared<Plan>(shadow, options, std::vector<std::string>{});
  std::vector<std::size_t> marks;
  Recording recording;
  if (steps) {
    std::string last;
    plan->walk(inputs, context, [&](const std::string& step, const at::Tensor&) {
      if (step == last) marks.back() = trace_length();  // a further output
      else marks.push_back(trace_length());
      last = step;
      return true;
    });
  } else {
    const std::vector<at::Tensor> outputs = plan->run(inputs, context, {});
    const at::Tensor loss = loss_of(probe, outputs, rows);
    if (loss.defined() && loss.requires_grad()) loss.backward();
  }
  return digest(recording.end(), std::move(marks));
}

/// The trace of the whole batch.
Trace extended(Model& model, const StepProbe& probe, bool steps) {
  if (probe.inputs.empty() || probe.inputs[0].dim() == 0 || probe.inputs[0].size(0) == 0) throw Error(Exit::kUsage, "estimate", "there are no samples to try");
  const std::int64_t most = std::min<std::int64_t>(probe.inputs[0].size(0), kProbeRows);
  if (probe.batch <= most) return record(model, probe, probe.batch, steps);
  Trace large = record(model, probe, most, steps);
  // Few samples may take another way (one alone goes around oneDNN): then ones nearer to the larger trace.
  for (std::int64_t few = (most + 1) / 2; few < most; few += std::max<std::int64_t>(1, (most - few) / 2)) {
    const Trace small = record(model, probe, few, steps);
    if (small.order != large.order) continue;
    for (std::size_t i = 0; i < large.blocks.size(); ++i) {
      std::int64_t& bytes = large.blocks[i].bytes;
      bytes += std::int64_t(double(bytes - small.blocks[i].bytes) * double(probe.batch - most) / double(most - few));
    }
    return large;
  }
  // No two alike: a block grows with the batch unless one sample less leaves as many blocks of its size.
  std::map<std::int64_t, std::int64_t> fixed;
  if (most > 1)
    for (const Block& block : record(model, probe, most - 1, steps).blocks) ++fixed[block.bytes];
  for (Block& block : large.blocks)
    if (--fixed[block.bytes] < 0) block.bytes = std::int64_t(double(block.bytes) * double(probe.batch) / double(most));
  return large;
}

/// Bytes that live after each event. @param outlasting with blocks that are there at the end
std::vector<std::int64_t> curve(const Trace& trace, bool outlasting) {
  std::vector<std::int64_t> live{0};
  for (const auto& [block, taken] : trace.order) {
    const Block& b = trace.blocks[block];
    const std::int64_t bytes = !outlasting && b.end > trace.events ? 0 : b.bytes;
    live.push_back(live.back() + (taken ? bytes : -bytes));
  }
  return live;
}

std::int64_t most_of(const std::vector<std::int64_t>& values) { return *std::max_element(values.begin(), values.end()); }

// --- choosing segments ------------------------------------------------------------------------------------------------

/// What the dynamic program knows of the steps 0 .. n-1; cut c lies before step c.
struct Sketch {
  std::vector<std::int64_t> kept;       ///< [n + 1] bytes that live at a cut where all activations are kept
  std::vector<std::int64_t> transient;  ///< [n] the most that backward of a step takes for gradients of values
  std::vector<double> cost;             ///< [n] of running a step again
  std::vector<std::int64_t> node;       ///< [n] the last one
  std::vector<std::vector<std::pair<int, std::int64_t>>> made;  ///< [n] values by their last user (n: an output) and bytes
  std::vector<std::vector<std::int64_t>> boundary;              ///< [n][n + 1] bytes that steps [begin, end) make and that live on
};

Sketch sketch_of(Model& model, const StepProbe& probe) {
  StepProbe plain = probe;
  plain.plan.training = true;
  plain.plan.checkpointing = {};
  const Trace trace = extended(model, plain, true);
  const std::vector<std::int64_t> live = curve(trace, true);
  const auto plan = std::make_shared<Plan>(model, plain.plan, std::vector<std::string>{});
  const std::vector<StepSketch> steps = plan->sketch();
  graph::Bindings sizes;
  for (std::size_t i = 0; i < model.graph.inputs.size(); ++i) {
    const auto& dims = model.graph.inputs[i].type.dims;
    for (std::size_t d = 0; d < dims.size(); ++d)
      if (!dims[d].is_known()) sizes[dims[d].text()] = d == 0 ? probe.batch : probe.inputs[i].size(std::int64_t(d));
  }
  const auto costs = graph::node_costs(model.graph, sizes);
  const int n = int(steps.size());
  std::unordered_map<int, int> last;
  for (int s = 0; s < n; ++s)
    for (const int value : steps[std::size_t(s)].in) last[value] = s;
  const bool narrow = probe.context.autocast != at::ScalarType::Undefined;
  Sketch sketch;
  sketch.kept.push_back(0);
  std::unordered_map<int, std::int64_t> bytes_of;
  for (int s = 0; s < n; ++s) {
    const StepSketch& step = steps[std::size_t(s)];
    sketch.kept.push_back(live[trace.marks[std::size_t(s)]]);
    double macs = 0;
    for (const std::int64_t node : step.nodes) macs += double(costs[std::size_t(node)].second.macs);
    std::int64_t bytes = costs[std::size_t(step.nodes.back())].second.activation_bytes;
    if (narrow && macs > 0) bytes /= 2;
    sketch.cost.push_back(macs + 8.0 * double(bytes));
    sketch.node.push_back(step.nodes.back());
    sketch.made.emplace_back();
    // What only adds hands one gradient on to all.
    std::int64_t flowing = bytes;
    for (const int value : step.in)
      if (const auto found = bytes_of.find(value); found != bytes_of.end() && (macs > 0 || step.in.size() == 1)) flowing += found->second;
    for (const int value : step.out) {
      const auto found = last.find(value);
      bytes_of[value] = bytes / std::int64_t(step.out.size());
      sketch.made.back().emplace_back(found == last.end() ? n : found->second, bytes_of[value]);
    }
    sketch.transient.push_back(flowing);
  }
  sketch.boundary.assign(std::size_t(n), std::vector<std::int64_t>(std::size_t(n + 1), 0));
  for (int s = 0; s < n; ++s)
    for (const auto& [user, bytes] : sketch.made[std::size_t(s)])
      for (int begin = 0; begin <= s; ++begin)
        for (int end = s + 1; end <= std::min(user, n); ++end) sketch.boundary[std::size_t(begin)][std::size_t(end)] += bytes;
  return sketch;
}

constexpr int kLevels = 512;  // of the budget that the dynamic program tells apart

struct Found {
  bool fits = false;
  std::vector<Segment> segments;
};

/// States are (cut, level of bytes kept so far), transitions one step as it is or a segment that runs again.
class Search {
 public:
  Search(const Sketch& sketch, std::int64_t budget) : s_(sketch), n_(int(sketch.cost.size())), budget_(budget) {
    best_.assign(std::size_t(n_ + 1) * (kLevels + 1), {});
  }

  Found run() {
    at(0, 0) = {0, -1, 0, false};
    for (int cut = 0; cut < n_; ++cut)
      for (int level = 0; level <= kLevels; ++level)
        if (at(cut, level).cost < kNever) extend(cut, level);
    int level = -1;
    for (int l = 0; l <= kLevels; ++l)
      if (at(n_, l).cost < kNever && (level < 0 || at(n_, l).cost < at(n_, level).cost)) level = l;
    Found found;
    found.fits = level >= 0;
    for (int cut = n_; cut > 0 && level >= 0;) {
      const State& state = at(cut, level);
      if (state.again) found.segments.push_back({state.cut == 0 ? 0 : s_.node[std::size_t(state.cut - 1)] + 1, s_.node[std::size_t(cut - 1)]});
      level = state.level;
      cut = state.cut;
    }
    std::reverse(found.segments.begin(), found.segments.end());
    return found;
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();
  struct State {
    double cost = kNever;
    int cut = 0, level = 0;  ///< where it came from
    bool again = false;
  };

  State& at(int cut, int level) { return best_[std::size_t(cut) * (kLevels + 1) + std::size_t(level)]; }

  void offer(int cut, std::int64_t kept, std::int64_t most, const State& state) {
    if (most > budget_) return;
    const auto level = int((std::max<std::int64_t>(kept, 0) * kLevels + budget_ - 1) / std::max<std::int64_t>(budget_, 1));
    if (level <= kLevels && state.cost < at(cut, level).cost) at(cut, level) = state;
  }

  void extend(int cut, int level) {
    const double cost = at(cut, level).cost;
    const std::int64_t kept = std::int64_t(double(level) / kLevels * double(budget_));
    const std::int64_t one = kept + s_.kept[std::size_t(cut + 1)] - s_.kept[std::size_t(cut)];
    offer(cut + 1, one, one + s_.transient[std::size_t(cut)], {cost, cut, level, false});
    double again = 0;
    std::int64_t flowing = 0;
    for (int end = cut + 1; end <= n_; ++end) {
      again += s_.cost[std::size_t(end - 1)];
      flowing = std::max(flowing, s_.transient[std::size_t(end - 1)]);
      const std::int64_t boundary = s_.boundary[std::size_t(cut)][std::size_t(end)];
      const std::int64_t inside = std::max<std::int64_t>(0, s_.kept[std::size_t(end)] - s_.kept[std::size_t(cut)]);
      if (kept + inside + flowing > budget_) break;
      // Ties go to fewer segments.
      offer(end, kept + boundary, kept + std::max(inside, boundary) + flowing, {cost + again * (1 + 1e-9) + 1, cut, level, true});
    }
  }

  const Sketch& s_;
  int n_;
  std::int64_t budget_;
  std::vector<State> best_;
};

std::string size_text(std::int64_t bytes) { return fmt::format("{:.1f} MiB", double(bytes) / (1 << 20)); }

}  // namespace

MemoryEstimate estimate_training_memory(Model& model, const StepProbe& probe) {
  const Trace trace = extended(model, probe, false);
  MemoryEstimate estimate;
  for (const auto& [name, tensor] : model.tensors) estimate.weights += std::int64_t(tensor.nbytes());
  for (const std::string& name : model.parameters())
    if (model.tensors.at(name).requires_grad()) estimate.gradients += std::int64_t(model.tensors.at(name).nbytes());
  for (const at::Tensor& input : probe.inputs) estimate.inputs += std::int64_t(input.nbytes()) / input.size(0) * probe.batch;
  estimate.optimizer = probe.optimizer_bytes;
  estimate.activations = most_of(curve(trace, false));
  estimate.peak = estimate.weights + estimate.optimizer + estimate.inputs + most_of(curve(trace, true));
  return estimate;
}

Checkpointing choose_checkpointing(Model& model, const StepProbe& probe, std::int64_t budget) {
  StepProbe tried = probe;
  const auto activations = [&](const std::vector<Segment>& segments) {
    tried.plan.checkpointing = {};
    if (!segments.empty()) tried.plan.checkpointing = {.kind = Checkpointing::Kind::kSegments, .segments = segments};
    return estimate_training_memory(model, tried).activations;
  };
  const std::int64_t plain = activations({});
  if (plain <= budget) return {};
  const Sketch sketch = sketch_of(model, probe);
  // The sketch knows no workspace: its own budget is moved until the estimate fits.
  std::int64_t low = 1, high = 2 * plain, aim = budget;
  for (int i = 0; i < 6; ++i) {
    const Found found = Search(sketch, aim).run();
    if (!found.fits) break;
    const std::int64_t taken = activations(found.segments);
    if (taken <= budget) return tried.plan.checkpointing;
    aim = std::int64_t(double(aim) * double(budget) / double(taken) * 0.99);
  }
  while (high - low > std::max<std::int64_t>(1024, high / 200)) {
    const std::int64_t middle = low + (high - low) / 2;
    (Search(sketch, middle).run().fits ? high : low) = middle;
  }
  // Near the least, what the sketch leaves out decides: the estimate is asked of the other ways too.
  std::vector<std::vector<Segment>> ways = {Search(sketch, high).run().segments};
  for (const char* text : {"all", "every:1", "every:2", "every:3"}) {
    PlanOptions options = probe.plan;
    options.training = true;
    options.checkpointing = parse_checkpointing(text);
    ways.push_back(std::make_shared<Plan>(model, options, std::vector<std::string>{})->segments());
  }
  std::int64_t least = plain;
  Checkpointing best;
  for (const std::vector<Segment>& way : ways) {
    const std::int64_t taken = activations(way);
    if (taken < least) least = taken, best = tried.plan.checkpointing;
  }
  if (least <= budget) return best;
  throw Error(Exit::kUsage, "precision.activation_budget", fmt::format("{} are below the least that activations of this net take at this batch size, {}",
                                                                       size_text(budget), size_text(least)),
              "raise it or lower train.batch_size");
}

}  // namespace ds::exec

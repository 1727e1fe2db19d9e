#include "engine/exec/plan.h"

#include <ATen/ops/alias.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <set>

#include "base/core/error.h"
#include "base/graph/adapters.h"

namespace ds::exec {

namespace {

at::Tensor undefined;  // what an absent slot points to

bool contains(const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

/// Gives the tap the value, and the gradient when it comes.
void apply(const Tap& tap, at::Tensor& value) {
  if (tap.forward) {
    at::Tensor changed = tap.forward(value);
    if (changed.defined()) value = std::move(changed);
  }
  if (!tap.backward || !value.requires_grad()) return;
  // A node of its own: the same tensor may be another value too (the input of an op that does nothing, a parameter, which would keep the hook).
  value = at::alias(value);
  value.register_hook([f = tap.backward](const at::Tensor& gradient) { return f(gradient); });
}

}  // namespace

Plan::Plan(Model& model, const PlanOptions& options, const std::vector<std::string>& tapped) : model_(model), options_(options), tapped_(tapped) {
  const graph::Graph& g = model_.graph;
  const auto types = graph::infer_types(g);
  for (const std::string& name : tapped_)
    if (!types.count(name)) throw Error(Exit::kFailure, name, "no value of this name to tap");
  for (const graph::Input& input : g.inputs) {
    value_index(input.name);
    for (const Step::Tapped& tap : taps_of(input.name)) input_taps_.push_back(tap);
  }
  views_.reserve(g.nodes.size());
  for (const graph::Node& node : g.nodes) {
    std::vector<graph::ValueType> inputs;
    for (const std::string& name : node.inputs) inputs.push_back(types.at(name));
    views_.emplace_back(g, node, std::move(inputs));
  }
  find_still();
  lower();
  for (const graph::Output& output : g.outputs) results_.push_back(value_index(output.value));
  for (const std::string& name : options_.fetch) {
    if (!types.count(name)) throw Error(Exit::kFailure, name, "no value of this name to fetch");
    results_.push_back(value_index(name));
  }
  find_last_uses();
  if (options_.training) find_ranges(types);
}

std::vector<StepSketch> Plan::sketch() const {
  std::vector<StepSketch> sketch;
  for (const Step& step : steps_) {
    sketch.push_back({step.nodes, step.in, step.out, false});
    for (std::size_t k = 0; k < step.slots.size(); ++k) {
      const at::Tensor& slot = whole_slot(step, k);
      sketch.back().grows = sketch.back().grows || (slot.defined() && slot.is_floating_point());
    }
  }
  return sketch;
}

std::vector<Segment> Plan::segments() const {
  std::vector<Segment> found;
  for (const Range& range : ranges_) {
    const std::int64_t before = range.begin == 0 ? -1 : steps_[std::size_t(range.begin - 1)].nodes.back();
    found.push_back({before + 1, steps_[std::size_t(range.end - 1)].nodes.back()});
  }
  return found;
}

void Plan::find_ranges(const std::map<std::string, graph::ValueType>& types) {
  if (options_.checkpointing.kind == Checkpointing::Kind::kNone) return;
  const graph::Bindings sizes = graph::bind_all(model_.graph);
  std::vector<double> bytes(index_.size(), 0);
  std::vector<bool> floats(index_.size(), false), ends;
  for (const auto& [name, index] : index_) {
    const graph::ValueType& type = types.at(name);
    double n = io::dtype_bits(type.dtype) / 8.0;
    for (const graph::Dim& dim : type.dims) n *= double(dim.evaluate(sizes));
    bytes[std::size_t(index)] = n;
    floats[std::size_t(index)] = io::is_float(type.dtype);
  }
  for (const Step& step : steps_) ends.push_back(!step.taps.empty());
  for (const auto& [begin, end] : checkpointed_ranges(options_.checkpointing, sketch(), bytes, floats, ends)) {
    Range& range = ranges_.emplace_back();
    range.begin = begin, range.end = end;
    prepare(range);
  }
}

std::vector<Plan::Step::Tapped> Plan::taps_of(const std::string& value) {
  std::vector<Step::Tapped> found;
  for (std::size_t i = 0; i < tapped_.size(); ++i)
    if (tapped_[i] == value) found.push_back({value_index(value), int(i)});
  return found;
}

/// Where some parameters are trained and others are not (the latter require no gradient), layers that have none that is trained run as in
/// evaluation: norms by their running statistics, which stay, and in front of all that is trained dropout too.
void Plan::find_still() {
  if (!options_.training) return;
  const std::vector<std::string> parameters = model_.parameters();
  std::set<std::string> trained;
  for (const std::string& name : parameters)
    if (model_.tensors.at(name).requires_grad()) trained.insert(name);
  if (trained.empty() || trained.size() == parameters.size()) return;
  still_ = graph::frozen_prefix(model_.graph, trained);
  for (const graph::Node& node : model_.graph.nodes) {
    if (!node.op.starts_with("batch_norm")) continue;
    const bool learns = std::any_of(node.slots.begin(), node.slots.end(), [&](const auto& slot) { return trained.contains(slot.second.tensor); });
    if (!learns) still_.insert(node.name);
  }
}

int Plan::value_index(const std::string& value) { return index_.emplace(value, int(index_.size())).first->second; }

/// The nodes that a fusion would take if its chain starts at `node`, or nothing.
std::vector<std::size_t> Plan::chain_from(std::size_t node, const Fusion& fusion, const std::vector<bool>& taken) const {
  const graph::Graph& g = model_.graph;
  std::vector<std::size_t> chain;
  std::size_t at = node;
  for (std::size_t k = 0; k < fusion.chain.size(); ++k) {
    const graph::Node& n = g.nodes[at];
    if (taken[at] || n.op != fusion.chain[k] || n.outputs != 1) return {};
    chain.push_back(at);
    if (k + 1 == fusion.chain.size()) break;
    const std::string value = n.output();
    const auto users = g.users(value);
    if (users.size() != 1 || contains(tapped_, value) || contains(options_.fetch, value)) return {};
    for (const graph::Output& output : g.outputs)
      if (output.value == value) return {};
    // A user that reads the value twice (x + x) is no chain.
    if (std::count(users[0]->inputs.begin(), users[0]->inputs.end(), value) != 1) return {};
    at = std::size_t(users[0] - g.nodes.data());
  }
  std::vector<graph::NodeView> nodes;
  for (const std::size_t i : chain) nodes.push_back(views_[i]);
  const BindContext context{nodes.front(), options_.training, options_.channels_last};
  if (fusion.applies && !fusion.applies(nodes, context)) return {};
  return chain;
}

void Plan::lower() {
  const graph::Graph& g = model_.graph;
  std::vector<bool> taken(g.nodes.size(), false);
  std::map<std::size_t, std::pair<std::vector<std::size_t>, const Fusion*>> at_last;  // a fused step stands where its last node stood
  if (options_.fuse) {
    for (std::size_t i = 0; i < g.nodes.size(); ++i) {
      for (const Fusion& fusion : fusions()) {
        if (taken[i] || !(options_.training ? fusion.training : fusion.inference)) continue;
        const auto chain = chain_from(i, fusion, taken);
        if (chain.empty()) continue;
        for (const std::size_t k : chain) taken[k] = true;
        at_last[chain.back()] = {chain, &fusion};
      }
    }
  }
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    if (const auto fused = at_last.find(i); fused != at_last.end()) add_step(fused->second.first, fused->second.second);
    else if (!taken[i]) add_step({i}, nullptr);
  }
}

void Plan::add_step(const std::vector<std::size_t>& nodes, const Fusion* fusion) {
  Step step;
  step.nodes.assign(nodes.begin(), nodes.end());
  std::vector<graph::NodeView> views;
  std::string inner;  // the value that goes from one node of the chain to the next
  for (const std::size_t i : nodes) {
    const graph::NodeView& view = views_[i];
    const graph::Node& node = view.node();
    views.push_back(view);
    step.name += (step.name.empty() ? "" : " + ") + node.name;
    step.ops += (step.ops.empty() ? "" : "+") + node.op;
    for (const std::string& input : node.inputs)
      if (input != inner) step.in.push_back(value_index(input));
    for (const graph::SlotSpec& spec : graph::op(node.op).slots(view)) {
      const auto found = node.slots.find(spec.name);
      at::Tensor* tensor = found == node.slots.end() ? &undefined : &model_.tensors.at(found->second.tensor);
      if (found != node.slots.end() && !found->second.whole()) {
        const graph::Slot& slot = found->second;
        step.slices.push_back({tensor, slot.axis, slot.begin, slot.end - slot.begin});
        tensor = nullptr;  // set below, when the number of slices is known
      }
      step.slots.push_back(tensor);
    }
    inner = node.output();
  }
  // Of a norm with the activation behind it, the norm alone asks whether it is training.
  const auto is_still = [this](const graph::NodeView& view) { return still_.contains(view.node().name); };
  const auto indifferent = [](const graph::NodeView& view) { return view.node().slots.empty() && !view.node().op.starts_with("drop"); };
  step.still = std::any_of(views.begin(), views.end(), is_still) &&
               std::all_of(views.begin(), views.end(), [&](const graph::NodeView& view) { return is_still(view) || indifferent(view); });
  step.cut = std::make_unique<at::Tensor[]>(step.slices.size());
  at::Tensor* next = step.cut.get();
  for (at::Tensor*& slot : step.slots)
    if (!slot) slot = next++;
  step.casts = std::make_unique<Cast[]>(step.slots.size());
  const graph::Node& last = views.back().node();
  for (int k = 0; k < last.outputs; ++k) {
    step.out.push_back(value_index(last.output(k)));
    for (const Step::Tapped& tap : taps_of(last.output(k))) step.taps.push_back(tap);
  }
  const BindContext context{views_[nodes.front()], options_.training, options_.channels_last};
  step.kernel = fusion ? fusion->make(views, context) : core::body<MakeKernel>("kernel", last.op)(context);
  steps_.push_back(std::move(step));
}

void Plan::find_last_uses() {
  std::set<int> seen(results_.begin(), results_.end());
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    for (const std::vector<int>* list : {&step->in, &step->out})
      for (const int value : *list)
        if (seen.insert(value).second) step->last_use.push_back(value);
  }
}

bool Plan::fits(const PlanOptions& options, const std::vector<std::string>& tapped) const {
  return options.training == options_.training && options.channels_last == options_.channels_last && options.fuse == options_.fuse &&
         options.fetch == options_.fetch && options.checkpointing == options_.checkpointing && tapped == tapped_;
}

void Plan::set_inputs(const std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& values) const {
  const graph::Graph& g = model_.graph;
  if (inputs.size() != g.inputs.size())
    throw Error(Exit::kInput, "model", std::to_string(inputs.size()) + " inputs, expected " + std::to_string(g.inputs.size()));
  graph::Bindings bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const graph::Input& want = g.inputs[i];
    const at::Tensor& x = inputs[i];
    bool fits = std::size_t(x.dim()) == want.type.dims.size();
    for (std::size_t d = 0; fits && d < want.type.dims.size(); ++d) {
      const graph::Dim& dim = want.type.dims[d];
      const std::int64_t size = x.size(std::int64_t(d));
      fits = dim.is_known() ? dim.value() == size : bound.emplace(dim.text(), size).first->second == size;
    }
    if (x.is_floating_point() != io::is_float(want.type.dtype))
      throw Error(Exit::kInput, "input " + want.name, std::string(c10::toString(x.scalar_type())) + ", expected " + graph::type_text(want.type));
    if (!fits) {
      std::string got;
      for (const std::int64_t size : x.sizes()) got += (got.empty() ? "" : ", ") + std::to_string(size);
      throw Error(Exit::kInput, "input " + want.name, "shape [" + got + "], expected " + graph::type_text(want.type));
    }
    values[i] = options_.channels_last && x.dim() == 4 && x.is_floating_point() ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
  }
}

void Plan::run_step(Step& step, const RunContext& context, std::vector<at::Tensor>& values) const {
  RunContext quiet;
  StepArgs args(context_of(step, context, quiet), values.data(), step.in.data(), int(step.in.size()), step.slots.data(), step.out.data(), step.casts.get());
  for (std::size_t i = 0; i < step.slices.size(); ++i) {
    const Step::Slice& s = step.slices[i];
    step.cut[i] = s.whole->narrow(s.axis, s.begin, s.length);
  }
  call(step, args);
}

const RunContext& Plan::context_of(const Step& step, const RunContext& context, RunContext& quiet) {
  if (!step.still) return context;
  quiet = context;
  quiet.training = false;
  return quiet;
}

void Plan::call(const Step& step, StepArgs& args) {
  try {
    step.kernel->run(args);
  } catch (const c10::Error& e) {
    std::string text = e.what_without_backtrace();
    text = text.substr(0, text.find('\n'));
    throw Error(Exit::kFailure, step.name + " (" + step.ops + ")", text);
  }
}

std::vector<at::Tensor> Plan::run(const std::vector<at::Tensor>& inputs, const RunContext& context, const std::vector<Tap>& taps) {
  std::vector<at::Tensor> values(index_.size());
  set_inputs(inputs, values);
  for (const auto& [value, tap] : input_taps_) apply(taps[std::size_t(tap)], values[std::size_t(value)]);
  auto range = c10::GradMode::is_enabled() ? ranges_.begin() : ranges_.end();
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    if (range != ranges_.end() && range->begin == int(s)) {
      run_range(*range, context, values);
      s = std::size_t(range++->end) - 1;
      Step& last = steps_[s];
      for (const auto& [value, tap] : last.taps) apply(taps[std::size_t(tap)], values[std::size_t(value)]);
      continue;
    }
    run_step(step, context, values);
    for (const auto& [value, tap] : step.taps) apply(taps[std::size_t(tap)], values[std::size_t(value)]);
    for (const int value : step.last_use) values[std::size_t(value)].reset();
  }
  std::vector<at::Tensor> results;
  results.reserve(results_.size());
  for (const int value : results_) results.push_back(values[std::size_t(value)]);
  return results;
}

void Plan::walk(const std::vector<at::Tensor>& inputs, const RunContext& context,
                const std::function<bool(const std::string&, const at::Tensor&)>& see) {
  std::vector<at::Tensor> values(index_.size());
  set_inputs(inputs, values);
  for (Step& step : steps_) {
    run_step(step, context, values);
    for (const int value : step.out)
      if (!see(step.name, values[std::size_t(value)])) return;
    for (const int value : step.last_use) values[std::size_t(value)].reset();
  }
}

std::vector<std::string> Plan::describe() const {
  std::vector<std::string> lines;
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    std::string line = steps_[s].name + ": " + steps_[s].ops;
    for (std::size_t r = 0; r < ranges_.size(); ++r)
      if (ranges_[r].begin <= int(s) && int(s) < ranges_[r].end) line += ", recomputed " + std::to_string(r + 1);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace ds::exec

#include "engine/train/probe.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <set>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/values.h"
#include "engine/exec/memory.h"
#include "engine/optim/groups.h"
#include "engine/train/loss.h"

namespace ds::train {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

/// Ops that only move, name or drop elements: what they give was told of the layer before.
bool moves_only(const std::string& op) {
  static const std::set<std::string> ops = {"identity", "reshape", "flatten", "permute", "slice", "select", "split", "concat", "tensor",
                                            "dropout", "dropout2d", "drop_path"};
  return ops.count(op) != 0;
}

Scale scale_of(const at::Tensor& value) {
  const at::Tensor x = value.detach().to(at::kDouble);
  if (x.numel() == 0) return {};
  Scale scale{x.mean().item<double>(), x.numel() > 1 ? x.std().item<double>() : 0, x.abs().max().item<double>(), true};
  scale.finite = at::isfinite(x).all().item<bool>();
  return scale;
}

/// Share of channels (axis 1 of images, else the last) that are 0 throughout.
double dead_share(const at::Tensor& value) {
  const std::int64_t axis = value.dim() == 4 ? 1 : value.dim() - 1;
  const at::Tensor rows = value.detach().movedim(axis, 0).reshape({value.size(axis), -1});
  return rows.abs().amax(1).eq(0).to(at::kDouble).mean().item<double>();
}

double saturated_share(const at::Tensor& value, const std::string& op) {
  const double low = op == "sigmoid" ? 0.01 : -0.99;
  return value.detach().lt(low).logical_or(value.detach().gt(0.99)).to(at::kDouble).mean().item<double>();
}

at::ScalarType autocast_of(const commands::FitOptions& fit) {
  return fit.precision.amp == "bf16" ? at::kBFloat16 : fit.precision.amp == "fp16" ? at::kHalf : at::ScalarType::Undefined;
}

std::int64_t rows_of(const data::Dataset& data, const commands::FitOptions& fit) {
  const std::int64_t wanted = core::is_auto(fit.loop.batch_size) ? 64 : std::int64_t(fit.loop.batch_size);
  return std::min(wanted, data.split("train").size());
}

/// The first batch of the run, without augmentation.
data::Batch first_batch(const data::Dataset& data, std::int64_t rows, std::uint64_t seed, const Json& preprocessing) {
  data::Loader loader(data.train, preprocessing, {.batch_size = rows, .shuffle = true, .workers = 0, .seed = seed});
  loader.start(0);
  data::Batch batch;
  loader.next(batch);
  return batch;
}

at::Tensor mean_loss(const Loss& loss, std::vector<at::Tensor> outputs, const data::Batch& batch) {
  for (at::Tensor& output : outputs)
    if (at::isReducedFloatingType(output.scalar_type())) output = output.to(at::kFloat);
  return summed_loss(loss, outputs, batch).div(static_cast<double>(std::max<std::int64_t>(1, loss.counted(batch.labels))));
}

void drop_gradients(exec::Model& model) {
  for (auto& [name, tensor] : model.tensors)
    if (tensor.requires_grad()) tensor.mutable_grad().reset();
}

/// One batch on a copy of the net, in the three ways that the figures need.
class Run {
 public:
  Run(exec::Model& model, const Loss& loss, const exec::StepProbe& step, const data::Batch& batch)
      : model_(model), loss_(loss), step_(step), batch_(batch), executor_(model) {
    for (const graph::Node& node : model.graph.nodes) {
      if (moves_only(node.op)) continue;
      place_[node.name] = layers.size();
      layers.push_back({.name = node.name, .op = node.op});
    }
  }
  std::vector<LayerProbe> layers;
  double loss = 0;

  void scales() {
    std::vector<exec::Tap> taps;
    for (LayerProbe& layer : layers)
      taps.push_back({layer.name,
                      [&layer](const at::Tensor& value) {
                        if (!value.is_floating_point()) return at::Tensor();
                        layer.activation = scale_of(value);
                        layer.zeros = value.detach().eq(0).to(at::kDouble).mean().item<double>();
                        if (layer.op == "relu" || layer.op == "relu6") layer.dead = dead_share(value);
                        if (layer.op == "sigmoid" || layer.op == "tanh") layer.saturated = saturated_share(value, layer.op);
                        return at::Tensor();
                      },
                      [&layer](const at::Tensor& gradient) {
                        layer.gradient = scale_of(gradient);
                        layer.has_gradient = true;
                        return at::Tensor();
                      }});
    loss = step(taps);
    for (const graph::Node& node : model_.graph.nodes) {
      if (!place_.count(node.name)) continue;
      double square = -1;
      for (const auto& [slot, of] : node.slots)
        if (const at::Tensor& gradient = model_.tensors.at(of.tensor).grad(); gradient.defined())
          square = std::max(square, 0.0) + std::pow(gradient.norm().item<double>(), 2);
      layers[place_[node.name]].weight_gradient = square < 0 ? -1 : std::sqrt(square);
    }
  }

  /// Between two taps a layer ran, and between the gradient of its output and the next one its backward did.
  void costs() {
    auto last = Clock::now();
    std::int64_t live = exec::memory_use().live;
    LayerProbe* behind = nullptr;
    std::vector<exec::Tap> taps;
    for (LayerProbe& layer : layers)
      taps.push_back({layer.name,
                      [&](const at::Tensor&) {
                        const auto now = Clock::now();
                        layer.forward_s = seconds(last, now);
                        layer.kept_bytes = exec::memory_use().live - live;
                        live = exec::memory_use().live;
                        last = now;
                        return at::Tensor();
                      },
                      [&](const at::Tensor&) {
                        const auto now = Clock::now();
                        if (behind) behind->backward_s += seconds(last, now);
                        behind = &layer;
                        last = now;
                        return at::Tensor();
                      }});
    step(taps);
    if (behind) behind->backward_s += seconds(last, Clock::now());
  }

  void whole(Probe& probe) {
    step({});  // what is kept from step to step is there from now on
    drop_gradients(model_);
    const std::int64_t before = exec::memory_use().live;
    exec::reset_peak();
    const auto begin = Clock::now();
    const at::Tensor value = mean_loss(loss_, executor_.run(batch_.inputs, step_.context, step_.plan), batch_);
    const auto middle = Clock::now();
    if (value.requires_grad()) value.backward();
    probe.forward_s = seconds(begin, middle);
    probe.backward_s = seconds(middle, Clock::now());
    probe.measured_peak = exec::memory_use().peak - before;
  }

 private:
  double step(const std::vector<exec::Tap>& taps) {
    drop_gradients(model_);
    const at::Tensor value = mean_loss(loss_, executor_.run(batch_.inputs, step_.context, step_.plan, taps), batch_);
    if (value.requires_grad()) value.backward();
    return value.item<double>();
  }

  exec::Model& model_;
  const Loss& loss_;
  const exec::StepProbe& step_;
  const data::Batch& batch_;
  exec::Executor executor_;
  std::map<std::string, std::size_t> place_;
};

Json figure(double value) { return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value)); }

Json scale_json(const Scale& scale) { return {{"mean", figure(scale.mean)}, {"std", figure(scale.std)}, {"absmax", figure(scale.absmax)}}; }

}  // namespace

exec::StepProbe step_probe(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed, const Json& preprocessing) {
  exec::StepProbe step;
  step.batch = rows_of(data, fit);
  const data::Batch few = data::batch_of(data.split("train"), preprocessing, 0, std::min<std::int64_t>(step.batch, exec::kProbeRows));
  step.inputs = few.inputs;
  step.plan.training = true;
  step.plan.channels_last = fit.precision.channels_last != "off";
  step.context = {.training = true, .autocast = autocast_of(fit), .seed = seed, .sample_ids = few.ids, .update_statistics = false};
  const std::shared_ptr<Loss> loss = make_loss(fit.loss, {.data = data, .label_smoothing = fit.regularize.label_smoothing});
  step.loss = [loss, few](const std::vector<at::Tensor>& outputs, std::int64_t rows) {
    return mean_loss(*loss, outputs, rows == few.size() ? few : data::part_of(few, 0, rows));
  };
  const auto optimizer = optim::make_optimizer(fit.optim, optim::parameters_of(model, {.freeze = fit.loop.freeze}));
  for (const auto& [name, tensor] : optimizer->state()) step.optimizer_bytes += static_cast<std::int64_t>(tensor.nbytes());
  return step;
}

exec::Checkpointing checkpointing_of(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed,
                                     const Json& preprocessing) {
  if (fit.precision.checkpointing != "auto") return exec::parse_checkpointing(fit.precision.checkpointing);
  const auto budget = core::parse_bytes(fit.precision.activation_budget);
  if (!budget || *budget < 1)
    throw Error(Exit::kUsage, "precision.activation_budget", "'" + fit.precision.activation_budget + "', expected a size such as 512MiB");
  return exec::choose_checkpointing(model, step_probe(model, data, fit, seed, preprocessing), *budget);
}

std::vector<ProbeWarning> judge(const Probe& probe, std::int64_t memory_limit) {
  std::vector<ProbeWarning> warnings;
  const std::vector<std::string> calmer = {"schedule.warmup_steps=500", "train.clip_grad=1", "a lower optim.lr"};
  for (const LayerProbe& layer : probe.layers) {
    if (layer.activation.finite) continue;
    warnings.push_back({layer.name, "not-finite", fmt::format("'{}' ({}) is the first layer whose output is not finite", layer.name, layer.op),
                        {"init.weights=kaiming_normal", "precision.amp=off", "look at the data: data health"}});
    return warnings;  // all behind it is a consequence
  }
  for (const LayerProbe& layer : probe.layers) {
    const double norm = layer.weight_gradient;
    if (layer.has_gradient && !layer.gradient.finite)
      warnings.push_back({layer.name, "not-finite", fmt::format("the gradient at '{}' is not finite", layer.name), calmer});
    else if (norm >= 0 && norm < 1e-7)
      warnings.push_back({layer.name, "vanishing", fmt::format("the gradient of '{}' has a norm of {:.2g}, below 1e-7{}", layer.name, norm,
                                                               norm == 0 ? " (a branch that ends in a norm of zeros has none in its first step)" : ""),
                          {"init.weights=kaiming_normal", "a net with norms or skips"}});
    else if (norm > 1e3)
      warnings.push_back({layer.name, "exploding", fmt::format("the gradient of '{}' has a norm of {:.2g}, above 1000", layer.name, norm), calmer});
    if (layer.dead > 0.5)
      warnings.push_back({layer.name, "dead", fmt::format("{:.0f} % of the units of '{}' are 0 for the whole batch", 100 * layer.dead, layer.name),
                          {"init.weights=kaiming_normal", "a lower optim.lr", "schedule.warmup_steps=500"}});
    if (layer.saturated > 0.5)
      warnings.push_back({layer.name, "saturated", fmt::format("{:.0f} % of '{}' ({}) lie within 1 % of its ends", 100 * layer.saturated, layer.name, layer.op),
                          {"init.weights=xavier_uniform", "inputs with mean 0 and deviation 1"}});
    if (layer.weight_gradient >= 0 && (layer.activation.std > 100 || (layer.activation.std < 1e-3 && layer.activation.absmax > 0)))
      warnings.push_back({layer.name, "drift", fmt::format("'{}' gives a standard deviation of {:.2g}, far from 1", layer.name, layer.activation.std),
                          {"init.weights=kaiming_normal", "a norm behind the layer"}});
  }
  if (memory_limit > 0 && static_cast<double>(std::max(probe.estimate.peak, probe.measured_peak)) > 0.8 * static_cast<double>(memory_limit))
    warnings.push_back({"", "memory", fmt::format("a step takes {} of {}",
                                              report::bytes_text(static_cast<double>(std::max(probe.estimate.peak, probe.measured_peak))),
                                                  report::bytes_text(static_cast<double>(memory_limit))),
                        {"precision.checkpointing=all", "precision.amp=fp16", "train.grad_accum_steps=4 with a quarter of train.batch_size"}});
  return warnings;
}

Probe probe(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, std::uint64_t seed, const Json& preprocessing) {
  const at::AutoGradMode on(true);
  exec::Model copy = model.clone();
  if (fit.precision.channels_last != "off") copy.to_channels_last();
  copy.require_grad(true);
  optim::parameters_of(copy, {.freeze = fit.loop.freeze});  // freezes
  exec::StepProbe step = step_probe(copy, data, fit, seed, preprocessing);
  step.plan.checkpointing = checkpointing_of(copy, data, fit, seed, preprocessing);
  Probe result;
  result.samples = step.batch;
  result.estimate = exec::estimate_training_memory(copy, step);
  const data::Batch batch = first_batch(data, step.batch, seed, preprocessing);
  step.context.sample_ids = batch.ids;
  const auto loss = make_loss(fit.loss, {.data = data, .label_smoothing = fit.regularize.label_smoothing});
  Run run(copy, *loss, step, batch);
  run.scales();
  result.loss = run.loss;
  double square = 0;
  for (const auto& [name, tensor] : copy.tensors)
    if (tensor.grad().defined()) square += std::pow(tensor.grad().norm().item<double>(), 2);
  result.gradient_norm = std::sqrt(square);
  run.costs();
  run.whole(result);
  result.measured_peak += result.estimate.weights + result.estimate.optimizer + result.estimate.inputs;
  result.layers = std::move(run.layers);
  result.warnings = judge(result, exec::memory_limit() > 0 ? exec::memory_limit() : core::memory_limit_bytes("auto"));
  return result;
}

Json Probe::to_json(bool reproducible) const {
  Json rows = Json::array(), told = Json::array();
  for (const LayerProbe& layer : layers) {
    Json row = {{"name", layer.name}, {"op", layer.op}, {"activation", scale_json(layer.activation)}, {"zeros", layer.zeros}};
    if (layer.has_gradient) row["gradient"] = scale_json(layer.gradient);
    if (layer.op == "relu" || layer.op == "relu6") row["dead"] = layer.dead;
    if (layer.op == "sigmoid" || layer.op == "tanh") row["saturated"] = layer.saturated;
    if (layer.weight_gradient >= 0) row["weight_gradient_norm"] = figure(layer.weight_gradient);
    row["kept_bytes"] = layer.kept_bytes;
    if (!reproducible) row["forward_s"] = layer.forward_s, row["backward_s"] = layer.backward_s;
    rows.push_back(std::move(row));
  }
  for (const ProbeWarning& warning : warnings)
    told.push_back({{"layer", warning.layer}, {"kind", warning.kind}, {"text", warning.text}, {"remedies", warning.remedies}});
  Json step = {{"samples", samples}, {"loss", figure(loss)}, {"gradient_norm", figure(gradient_norm)}};
  if (!reproducible) step["forward_s"] = forward_s, step["backward_s"] = backward_s;
  return {{"step", step},
          {"memory",
           {{"measured_peak", measured_peak}, {"estimated_peak", estimate.peak}, {"weights", estimate.weights}, {"gradients", estimate.gradients},
            {"optimizer", estimate.optimizer}, {"activations", estimate.activations}, {"inputs", estimate.inputs}}},
          {"layers", rows},
          {"warnings", told}};
}

report::Table Probe::table() const {
  report::Table table;
  table.columns = {{"layer", false}, {"op", false}, {"mean"}, {"std"}, {"absmax"}, {"zeros"}, {"gradient std"},
                   {"weights' gradient"}, {"forward"}, {"backward"}, {"kept"}};
  for (const LayerProbe& layer : layers)
    table.rows.push_back({layer.name, layer.op, fmt::format("{:.3g}", layer.activation.mean), fmt::format("{:.3g}", layer.activation.std),
                          fmt::format("{:.3g}", layer.activation.absmax), fmt::format("{:.1f} %", 100 * layer.zeros),
                          layer.has_gradient ? fmt::format("{:.2g}", layer.gradient.std) : "",
                           layer.weight_gradient < 0 ? "" : fmt::format("{:.2g}", layer.weight_gradient),
                          report::seconds_text(layer.forward_s), report::seconds_text(layer.backward_s),
                          report::bytes_text(static_cast<double>(std::max<std::int64_t>(0, layer.kept_bytes)))});
  return table;
}

}  // namespace ds::train

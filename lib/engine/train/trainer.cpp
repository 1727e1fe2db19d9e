#include "engine/train/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/core/yaml.h"
#include "engine/exec/memory.h"
#include "engine/train/state.h"

namespace ds::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double rounded(double value, double digits) { return std::round(value * digits) / digits; }

/// Float parameters, with decay for what multiplies: not for vectors (norms, biases), nor for free tensors such as class tokens and positions.
std::vector<optim::Parameter> parameters_of(exec::Model& model, bool decay_norms) {
  std::set<std::string> free;
  for (const graph::Node& node : model.graph.nodes)
    if (node.op == "tensor")
      for (const auto& [slot, target] : node.slots) free.insert(target.tensor);
  std::vector<optim::Parameter> parameters;
  for (const std::string& name : model.parameters()) {
    const at::Tensor& value = model.tensors.at(name);
    parameters.push_back({name, value, decay_norms || (value.dim() >= 2 && !free.contains(name))});
  }
  return parameters;
}

}  // namespace

Callback::~Callback() = default;

Json Position::to_json() const {
  return {{"epoch", epoch}, {"batch", batch}, {"step", step}, {"loss_sum", loss_sum}, {"correct", correct}, {"seen", seen}};
}

Position Position::from_json(const Json& json) {
  Position at;
  at.epoch = json.at("epoch").get<std::int64_t>();
  at.batch = json.at("batch").get<std::int64_t>();
  at.step = json.at("step").get<std::int64_t>();
  at.loss_sum = json.at("loss_sum").get<double>();
  at.correct = json.at("correct").get<std::int64_t>();
  at.seen = json.at("seen").get<std::int64_t>();
  return at;
}

Trainer::State::State(exec::Model& model_, const data::Dataset& data_, const commands::FitOptions& fit_, TrainerOptions options_,
                      io::Checkpoint& checkpoint_)
    : model(model_), data(data_), fit(fit_), options(std::move(options_)), checkpoint(checkpoint_), executor(model_) {
  check_fit(model.graph, data, checkpoint.path);
  data.split("train");  // throws where it is empty
  if (checkpoint.preprocessing.is_null()) checkpoint.preprocessing = data.preprocessing;
  channels_last = fit.precision.channels_last != "off";
  autocast = fit.precision.amp == "bf16";
  if (channels_last) model.to_channels_last();
  model.require_grad(true);
  executor.rebind();
  parameters = parameters_of(model, fit.regularize.decay_norms);
  loader = std::make_unique<data::Loader>(data.train, checkpoint.preprocessing,
                                          data::LoaderOptions{.batch_size = fit.loop.batch_size, .shuffle = true, .augment = options.augment,
                                                              .workers = fit.loop.workers, .seed = options.seed});
}

double Trainer::State::elapsed() const { return elapsed_before + seconds_since(begun); }

void Trainer::State::diverged(const data::Batch& batch, const exec::RunContext& context, double loss) {
  exec::RunContext probe = context;
  probe.update_statistics = false;
  const std::string node = executor.first_nonfinite(batch.inputs, probe);
  throw Error(Exit::kFailure, node.empty() ? "loss" : node,
              fmt::format("the loss is {} at step {} (epoch {}, batch {}, lr {:.3g}){}", loss, at.step, at.epoch + 1, at.batch, lr,
                          node.empty() ? "" : fmt::format(": the output of '{}' is the first that is not finite", node)),
              "lower optim.lr or set train.clip_grad");
}

/// What the last step of an epoch broke shows here first: no later loss of a batch will.
void Trainer::State::diverged_on_validation(double loss) {
  std::string node;
  for (std::int64_t first = 0; node.empty() && first < data.val.size(); first += fit.loop.eval_batch_size) {
    const std::int64_t rows = std::min(fit.loop.eval_batch_size, data.val.size() - first);
    exec::RunContext context;
    context.autocast = autocast;
    node = executor.first_nonfinite(data::batch_of(data.val, checkpoint.preprocessing, first, rows).inputs, context);
  }
  throw Error(Exit::kFailure, node.empty() ? "loss" : node,
              fmt::format("the validation loss is {} after epoch {} (step {}, lr {:.3g}){}", loss, at.epoch + 1, at.step, lr,
                          node.empty() ? "" : fmt::format(": the output of '{}' is the first that is not finite", node)),
              "lower optim.lr or set train.clip_grad");
}

void Trainer::State::clip() {
  std::vector<at::Tensor> gradients;
  for (const optim::Parameter& parameter : parameters)
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  if (gradients.empty()) return;
  const double norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
  if (norm > fit.loop.clip_grad) at::_foreach_mul_(gradients, fit.loop.clip_grad / (norm + 1e-6));
}

void Trainer::State::step(Trainer& trainer, data::Batch& batch) {
  for (const auto& callback : callbacks) callback->on_batch(trainer, batch);
  std::vector<exec::Tap> taps;
  for (const auto& callback : callbacks)
    for (exec::Tap& tap : callback->taps(trainer)) taps.push_back(std::move(tap));

  exec::RunContext context;
  context.training = true;
  context.autocast = autocast;
  context.step = at.step;
  context.seed = options.seed;
  context.sample_ids = batch.ids;
  lr = optim::learning_rate(fit.optim, fit.schedule, at.step, trainer.total_steps());
  exec::PlanOptions plan;
  plan.training = true;
  plan.channels_last = channels_last;
  const std::vector<at::Tensor> outputs = executor.run(batch.inputs, context, plan, taps);
  at::Tensor logits = outputs.at(0);
  if (autocast && logits.scalar_type() == at::kBFloat16) logits = logits.to(at::kFloat);
  at::Tensor loss = cross_entropy(logits, batch.labels, fit.regularize.label_smoothing);
  for (const auto& callback : callbacks) loss = callback->on_loss(trainer, batch, outputs, loss);

  const double value = loss.item<double>();
  if (!std::isfinite(value)) diverged(batch, context, value);
  loss.backward();
  for (const auto& callback : callbacks) callback->on_backward(trainer);
  {
    const at::NoGradGuard no_grad;
    if (fit.loop.clip_grad > 0) clip();
    optimizer->step(lr);
    // Dropped, not zeroed: the next backward then hands its own tensors over instead of adding to these.
    for (optim::Parameter& parameter : parameters) parameter.value.mutable_grad().reset();
    at.correct += logits.detach().argmax(-1).eq(batch.labels).sum().item<std::int64_t>();
  }
  const std::int64_t counted = batch.labels.dim() == 1 ? batch.size() : batch.labels.ge(0).sum().item<std::int64_t>();
  at.loss_sum += value * static_cast<double>(counted);
  at.seen += counted;
  samples += batch.size();
  ++at.batch;
  ++at.step;
  for (const auto& callback : callbacks) callback->on_step(trainer);
}

void Trainer::State::take_best() {
  const bool better = best.is_null() || history.back()["val_top1"] > best["val_top1"];
  if (!better) return;
  best = history.back();
  if (keeps_best())
    for (const auto& [name, tensor] : model.tensors) best_tensors[name] = tensor.detach().clone();
  if (!options.run_dir.empty()) save_best();
}

/// False where a stop was requested before the epoch's row was complete: it is made anew on resume.
bool Trainer::State::end_epoch(Trainer& trainer, Json& row) {
  const double seconds = seconds_since(epoch_begun), seen = static_cast<double>(std::max<std::int64_t>(1, at.seen));
  row = {{"epoch", at.epoch + 1}, {"step", at.step}, {"train_loss", at.loss_sum / seen}, {"train_top1", static_cast<double>(at.correct) / seen},
         {"lr", lr}};
  const bool validates = data.val.size() > 0;
  if (validates) {
    Evaluation evaluation;
    exec::PlanOptions plan;
    plan.channels_last = channels_last;
    if (!evaluate_into(evaluation, executor, data.val, checkpoint.preprocessing, data.num_classes, fit.loop.eval_batch_size, plan, autocast, true))
      return false;
    if (!std::isfinite(evaluation.loss)) diverged_on_validation(evaluation.loss);
    row["val_loss"] = evaluation.loss;
    row["val_top1"] = evaluation.top1;
  }
  if (!options.reproducible) {
    row["elapsed_s"] = rounded(elapsed(), 1000);
    row["samples_per_sec"] = rounded(static_cast<double>(samples) / std::max(seconds, 1e-9), 10);
    row["peak_mem_bytes"] = exec::memory_use().peak;
  }
  for (const auto& callback : callbacks) callback->on_epoch(trainer, row);
  history.push_back(row);
  at = {.epoch = at.epoch + 1, .step = at.step};
  if (validates) take_best();
  core::event("epoch", row);
  if (!options.run_dir.empty()) {
    write_metrics();
    save_state();
  }
  return true;
}

Trainer::Trainer(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, TrainerOptions options, io::Checkpoint& checkpoint)
    : state_(std::make_unique<State>(model, data, fit, std::move(options), checkpoint)) {}
Trainer::~Trainer() = default;

void Trainer::add(std::shared_ptr<Callback> callback) { state_->callbacks.push_back(std::move(callback)); }

Outcome Trainer::run() {
  State& s = *state_;
  if (!s.options.run_dir.empty()) s.open_run_folder();
  for (const auto& callback : s.callbacks) callback->on_start(*this);
  s.optimizer = optim::make_optimizer(s.fit.optim, s.parameters);
  if (s.options.resume) s.resume();
  // Only now: a state of other options is refused above, and args.yaml tells which ones they were.
  if (!s.options.run_dir.empty() && s.checkpoint.config.is_object()) io::write_file(s.run_file("args.yaml"), core::yaml_text(s.checkpoint.config));
  s.begun = std::chrono::steady_clock::now();

  while (s.at.epoch < s.fit.loop.epochs) {
    for (const auto& callback : s.callbacks)
      if (s.at.batch == 0) callback->on_epoch_start(*this);
    const std::int64_t batches = s.loader->batches();
    core::Progress progress(fmt::format("{} {}/{}", s.options.phase, s.at.epoch + 1, s.fit.loop.epochs), batches);
    s.samples = 0;
    s.epoch_begun = std::chrono::steady_clock::now();
    s.loader->start(s.at.epoch, s.at.batch);
    data::Batch batch;
    bool stopped = core::stop_requested();
    while (!stopped && s.loader->next(batch)) {
      s.step(*this, batch);
      progress.update(s.at.batch, fmt::format("loss={:.3f}", s.at.loss_sum / static_cast<double>(s.at.seen)));
      stopped = core::stop_requested();
      if (!stopped && core::take_save_request() && !s.save_state())
        core::warn("SIGUSR1: there is no run folder or output to save the state beside");
    }
    Json row;
    if (stopped || !s.end_epoch(*this, row)) {
      s.save_state();
      return Outcome::kStopped;
    }
    std::string note = fmt::format("loss={:.3f} top1={:.4f}", row["train_loss"].get<double>(), row["train_top1"].get<double>());
    if (row.contains("val_top1")) note += fmt::format(" val_loss={:.3f} val_top1={:.4f}", row["val_loss"].get<double>(), row["val_top1"].get<double>());
    progress.finish(note);
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : s.best_tensors) s.model.tensors.at(name).copy_(tensor);
  for (const auto& callback : s.callbacks) callback->on_finish(*this);
  return Outcome::kDone;
}

exec::Model& Trainer::model() { return state_->model; }
exec::Executor& Trainer::executor() { return state_->executor; }
const data::Dataset& Trainer::data() const { return state_->data; }
std::int64_t Trainer::epoch() const { return state_->at.epoch; }
std::int64_t Trainer::step() const { return state_->at.step; }
std::int64_t Trainer::total_steps() const { return state_->loader->batches() * state_->fit.loop.epochs; }
const Json& Trainer::history() const { return state_->history; }
const Json& Trainer::best() const { return state_->best; }
const std::string& Trainer::saved_state() const { return state_->saved; }
std::vector<optim::Parameter>& Trainer::parameters() { return state_->parameters; }

}  // namespace ds::train

#include "engine/train/trainer.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/core/yaml.h"
#include "engine/data/health.h"
#include "engine/exec/memory.h"
#include "engine/exec/precision.h"
#include "engine/optim/groups.h"
#include "engine/train/anomaly.h"
#include "engine/train/batch_size.h"
#include "engine/train/parts.h"
#include "engine/train/probe.h"
#include "engine/train/state.h"

namespace ds::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double rounded(double value, double digits) { return std::round(value * digits) / digits; }

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
  fit.check();
  if (core::is_auto(fit.loop.batch_size)) fit.loop.batch_size = find_batch_size(model, data, fit, options, checkpoint);
  const Setting setting{model, data, fit, options};
  const auto add = [&setting](const core::CardGroup& group, std::vector<std::shared_ptr<Callback>>& to) {
    for (const core::CardGroup::Member& member : group.members)
      if (auto callback = core::body<MakeRegularizer>(group.kind, member.name)(*member.options, setting)) to.push_back(std::move(callback));
  };
  add(fit.regularize.more, callbacks);
  add(fit.watch, trackers);
  graph::verify(model.graph, checkpoint.path);
  loss = make_loss(fit.loss, {.data = data, .label_smoothing = fit.regularize.label_smoothing});
  part_rows = fit.loop.batch_size;
  const bool pairs = data::of_pairs(data.train.tokens.target);
  if (pairs && part_rows % 2 != 0)
    throw Error(Exit::kUsage, "train.batch_size", fmt::format("{}, expected an even number: data '{}' are pairs, each of two samples", part_rows, data.spec));
  if (pairs && fit.loop.eval_batch_size % 2 != 0) ++fit.loop.eval_batch_size;
  if (options.sampler == "length" && !data.has_tokens())
    throw Error(Exit::kUsage, "data.sampler", fmt::format("samples of like length, data '{}' are no tokens", data.spec), "leave data.sampler out");
  channels_last = fit.precision.channels_last != "off";
  autocast = fit.precision.amp == "bf16" ? at::kBFloat16 : fit.precision.amp == "fp16" ? at::kHalf : at::ScalarType::Undefined;
  scaled = autocast == at::kHalf;
  exec::set_tf32(fit.precision.tf32);
  if (fit.precision.loss_scale > 0) loss_scale = fit.precision.loss_scale;
  if (channels_last) model.to_channels_last();
  model.require_grad(true);
  executor.rebind();
  parameters = optim::parameters_of(
      model, {.decay_norms = fit.regularize.decay_norms, .layer_decay = fit.loop.layer_decay, .freeze = fit.loop.freeze});
  checkpointing = checkpointing_of(model, data, fit, options.seed, checkpoint.preprocessing);
  loader = std::make_unique<data::Loader>(data.train, checkpoint.preprocessing,
                                          data::LoaderOptions{.batch_size = fit.loop.batch_size * fit.loop.grad_accum_steps, .shuffle = true,
                                                              .augment = options.augment, .workers = fit.loop.workers, .seed = options.seed,
                                                              .weights = options.sampler == "weighted" ? data::balancing_weights(data) : std::vector<double>(),
                                                              .by_length = options.sampler == "length",
                                                              .patience = fit.anomaly.loader_seconds});
  if (!options.rate) optim::resolve_auto(fit.optim, fit.schedule, std::min(fit.loop.batch_size * fit.loop.grad_accum_steps, data.train.size()));
  if (!options.rate) optim::check_schedule(fit.schedule, {.total = loader->batches() * fit.loop.epochs, .steps_per_epoch = loader->batches()});
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

const std::map<std::string, at::Tensor>* Trainer::State::averaged() const {
  for (const auto& callback : callbacks)
    if (const auto* tensors = callback->averaged()) return tensors;
  return nullptr;
}

namespace {

/// The model has other values for these tensors while this lives.
class Exchanged {
 public:
  Exchanged(exec::Model& model, const std::map<std::string, at::Tensor>* by) : model_(model) {
    if (!by) return;
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : *by) {
      at::Tensor& own = model_.tensors.at(name);
      own_.emplace(name, own.detach().clone());
      own.copy_(tensor);
    }
  }
  ~Exchanged() {
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : own_) model_.tensors.at(name).copy_(tensor);
  }
  Exchanged(const Exchanged&) = delete;
  Exchanged& operator=(const Exchanged&) = delete;

 private:
  exec::Model& model_;
  std::map<std::string, at::Tensor> own_;
};

}  // namespace

void Trainer::State::take_best() {
  const std::string key = std::string("val_") + primary_metric(data);
  const bool better = best.is_null() || history.back()[key] > best[key];
  if (!better) return;
  best = history.back();
  if (keeps_best())
    for (const auto& [name, tensor] : model.tensors) best_tensors[name] = tensor.detach().clone();
  if (!options.run_dir.empty()) save_best();
}

/// False where a stop was requested.
bool Trainer::State::validate(Json& row) {
  Evaluation evaluation;
  exec::PlanOptions plan;
  plan.channels_last = channels_last;
  if (!evaluate_into(evaluation, executor, data.val, checkpoint.preprocessing, data.num_classes, fit.loop.eval_batch_size, plan, autocast, true)) return false;
  if (!std::isfinite(evaluation.loss)) diverged_on_validation(evaluation.loss);
  row["val_loss"] = evaluation.loss;
  row["val_" + evaluation.primary] = evaluation.score;
  for (const auto& [name, value] : evaluation.figures.items())
    if (!name.ends_with("_low") && !name.ends_with("_high")) row["val_" + name] = value;
  return true;
}

/// False where a stop was requested before the epoch's row was complete: it is made anew on resume.
bool Trainer::State::end_epoch(Trainer& trainer, Json& row) {
  const double seconds = seconds_since(epoch_begun), seen = static_cast<double>(std::max<std::int64_t>(1, at.seen));
  row = {{"epoch", at.epoch + 1}, {"step", at.step}, {"train_loss", at.loss_sum / seen}, {"lr", lr}};
  if (data.tells_classes()) row["train_top1"] = static_cast<double>(at.correct) / seen;
  if (alarms > 0) row["alarms"] = alarms;
  for (const auto& callback : callbacks) callback->before_validation(trainer);
  const Exchanged averages(model, averaged());
  const bool validates = data.val.size() > 0;
  if (validates && !validate(row)) return false;
  if (!options.reproducible) {
    row["elapsed_s"] = rounded(elapsed(), 1000);
    row["samples_per_sec"] = rounded(static_cast<double>(samples) / std::max(seconds, 1e-9), 10);
    row["peak_mem_bytes"] = exec::memory_use().peak;
  }
  for (const auto& callback : callbacks) callback->on_epoch(trainer, row);
  history.push_back(row);
  at = {.epoch = at.epoch + 1, .step = at.step};
  alarms = 0;
  if (validates) take_best();
  core::event("epoch", row);
  return true;
}

Trainer::Trainer(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, TrainerOptions options, io::Checkpoint& checkpoint)
    : state_(std::make_unique<State>(model, data, fit, std::move(options), checkpoint)) {}
Trainer::~Trainer() = default;

void Trainer::add(std::shared_ptr<Callback> callback) { state_->callbacks.push_back(std::move(callback)); }

Outcome Trainer::run() {
  State& s = *state_;
  if (!s.options.run_dir.empty()) s.open_run_folder();
  if (auto anomalies = watch_anomalies(s.fit)) s.callbacks.push_back(std::move(anomalies));
  s.tracked = s.trackers.size();
  for (auto& tracker : s.trackers) s.callbacks.push_back(std::move(tracker));
  s.trackers.clear();
  for (const auto& callback : s.callbacks) callback->on_start(*this);
  s.optimizer = optim::make_optimizer(s.fit.optim, s.parameters);
  if (s.options.resume) s.resume();
  // Only now: a state of other options is refused above, and args.yaml tells which ones they were.
  if (!s.options.run_dir.empty() && s.checkpoint.config.is_object()) io::write_file(s.run_file("args.yaml"), core::yaml_text(s.checkpoint.config));
  s.begun = std::chrono::steady_clock::now();

  while (s.at.epoch < s.fit.loop.epochs && s.ends_early.empty()) {
    for (const auto& callback : s.callbacks)
      if (s.at.batch == 0) callback->on_epoch_start(*this);
    const std::int64_t batches = s.loader->batches();
    core::Progress progress(fmt::format("{} {}/{}", s.options.phase, s.at.epoch + 1, s.fit.loop.epochs), batches);
    s.samples = 0;
    s.epoch_begun = std::chrono::steady_clock::now();
    s.loader->start(s.at.epoch, s.at.batch);
    bool stopped = core::stop_requested();
    for (;;) {
      const auto asked = std::chrono::steady_clock::now();
      if (stopped || !s.loader->next(s.batch)) break;
      s.figures.loader_seconds = seconds_since(asked);
      s.step(*this);
      progress.update(s.at.batch, fmt::format("loss={:.3f}", s.at.loss_sum / static_cast<double>(std::max<std::int64_t>(1, s.at.seen))));
      stopped = core::stop_requested();
      if (!stopped && core::take_save_request() && !s.save_state())
        core::warn("SIGUSR1: there is no run folder or output to save the state beside");
    }
    Json row;
    if (stopped || !s.end_epoch(*this, row)) {
      s.save_state();
      return Outcome::kStopped;
    }
    std::string note = fmt::format("loss={:.3f}", row["train_loss"].get<double>());
    const std::string figure = primary_metric(s.data);
    for (const std::string& key : {"train_" + figure, std::string("val_loss"), "val_" + figure})
      if (row.contains(key)) note += fmt::format(" {}={:.4f}", key.starts_with("train_") ? figure : key, row[key].get<double>());
    progress.finish(note);
    if (!s.options.run_dir.empty()) {
      s.write_metrics();
      s.save_state();
    }
  }
  const at::NoGradGuard no_grad;
  if (const auto* averages = s.averaged(); averages && s.best_tensors.empty())
    for (const auto& [name, tensor] : *averages) s.model.tensors.at(name).copy_(tensor);
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
const commands::FitOptions& Trainer::fit() const { return state_->fit; }
const TrainerOptions& Trainer::options() const { return state_->options; }
const Json& Trainer::preprocessing() const { return state_->checkpoint.preprocessing; }
std::int64_t Trainer::steps_per_epoch() const { return state_->loader->batches(); }
const StepFigures& Trainer::last_step() const { return state_->figures; }
void Trainer::want_gradient_norm(std::int64_t every) { state_->norm_every = std::gcd(state_->norm_every, every); }

void Trainer::finish_early(const std::string& why) {
  if (state_->ends_early.empty()) state_->ends_early = why;
}

void Trainer::raise(const Alarm& alarm) {
  core::warn(alarm.text);
  ++state_->alarms;
  for (const auto& callback : state_->callbacks) callback->on_alarm(*this, alarm);
}

void Trainer::give_up(const Alarm& alarm, const std::string& hint) {
  raise(alarm);
  state_->drop_gradients();
  const bool kept = state_->save_state();
  throw Error(Exit::kGate, kept ? state_->saved : alarm.kind, alarm.text + (kept ? ", state saved" : ""), hint);
}

const std::string& Trainer::saved_state() const { return state_->saved; }
std::vector<optim::Parameter>& Trainer::parameters() { return state_->parameters; }

}  // namespace ds::train

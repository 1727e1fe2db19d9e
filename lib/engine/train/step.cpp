// One step of training: a batch, computed in one part or in several, and the update.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/core/log.h"
#include "engine/exec/random.h"
#include "engine/train/clip.h"
#include "engine/train/state.h"

namespace ds::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The first layer whose output depends on which samples are computed together, "" if there is none.
std::string batch_statistics(const graph::Graph& graph) {
  for (const graph::Node& node : graph.nodes)
    if (node.op.starts_with("batch_norm")) return node.name;
  return "";
}

}  // namespace

void Trainer::State::drop_gradients() {
  // Dropped, not zeroed: the next backward then hands its own tensors over instead of adding to these.
  for (optim::Parameter& parameter : parameters) parameter.value.mutable_grad().reset();
}

/// Lists of tensors that are written at once keep their versions, by which casts of weights are known to be old.
void Trainer::State::note_written() {
  for (const optim::Parameter& parameter : parameters) parameter.value.unsafeGetTensorImpl()->bump_version();
}

exec::RunContext Trainer::State::context_of(const data::Batch& part) const {
  exec::RunContext context;
  context.training = true;
  context.autocast = autocast;
  context.step = at.step;
  context.seed = options.seed;
  context.sample_ids = part.ids;
  return context;
}

std::vector<at::Tensor> Trainer::State::forward(const data::Batch& part, const exec::RunContext& context, const std::vector<exec::Tap>& taps) {
  exec::PlanOptions plan;
  plan.training = true;
  plan.channels_last = channels_last;
  plan.checkpointing = checkpointing;
  std::vector<at::Tensor> outputs = executor.run(part.inputs, context, plan, taps);
  for (at::Tensor& output : outputs)
    if (output.scalar_type() == at::kBFloat16 || output.scalar_type() == at::kHalf) output = output.to(at::kFloat);
  return outputs;
}

/// Gradients of one part are added to those of the parts before.
void Trainer::State::compute_part(Trainer& trainer, const data::Batch& part, std::int64_t total) {
  const std::int64_t counted = loss->counted(part.labels);
  if (counted == 0) return;  // tokens without a label, all of them
  std::vector<exec::Tap> taps;
  for (const auto& callback : callbacks)
    for (exec::Tap& tap : callback->taps(trainer)) taps.push_back(std::move(tap));
  const exec::RunContext context = context_of(part);
  const std::vector<at::Tensor> outputs = forward(part, context, taps);
  at::Tensor mean = summed_loss(*loss, outputs, part).div(static_cast<double>(counted));
  for (const auto& callback : callbacks) mean = callback->on_loss(trainer, part, outputs, mean);

  const double value = mean.item<double>();
  if (!std::isfinite(value)) diverged(part, context, value);
  const double share = static_cast<double>(counted) / static_cast<double>(total) * figures.loss_scale;
  if (share == 1)
    mean.backward();
  else
    mean.mul(share).backward();
  const at::NoGradGuard no_grad;
  figures.loss += value * static_cast<double>(counted);
  correct += loss->correct(outputs, part.labels);
}

/// Gradients of the whole batch, in parts of part_rows samples.
void Trainer::State::compute(Trainer& trainer) {
  note_written();  // a callback may have moved them
  const std::int64_t n = batch.size(), total = loss->counted(batch.labels);
  for (;;) {
    drop_gradients();
    figures.loss = 0;
    figures.parts = 0;
    correct = 0;
    try {
      for (std::int64_t first = 0; first < n; first += part_rows, ++figures.parts) {
        const std::int64_t rows = std::min(part_rows, n - first);
        compute_part(trainer, rows == n ? batch : data::part_of(batch, first, rows), total);
      }
      break;
    } catch (const Error& e) {
      split(trainer, e);
    }
  }
  figures.loss /= static_cast<double>(std::max<std::int64_t>(1, total));
  figures.counted = total;
}

/// After a part did not fit in memory: halves the parts, or throws on.
void Trainer::State::split(Trainer& trainer, const Error& error) {
  if (error.code() != Exit::kResource || fit.precision.out_of_memory != "split") throw;
  const std::int64_t rows = std::min(part_rows, batch.size());
  const std::string mixing = batch_statistics(model.graph);
  if (!mixing.empty())
    throw Error(error.code(), error.where(), error.message() +
                fmt::format("; the step is not split, since '{}' takes its statistics from the samples that are computed together", mixing),
                "lower train.batch_size, or set precision.checkpointing to all");
  if (!loss->divisible())
    throw Error(error.code(), error.where(), error.message() + "; the step is not split, since its loss holds each sample against the others of the batch",
                "lower train.batch_size, or set precision.checkpointing to all");
  const std::int64_t least = data::of_pairs(data.train.tokens.target) ? 2 : 1;
  if (rows <= least)
    throw Error(error.code(), error.where(), error.message() + "; one sample alone does not fit",
                "set precision.checkpointing to all, or precision.amp to bf16");
  part_rows = (rows / least + 1) / 2 * least;
  const std::int64_t parts = (batch.size() + part_rows - 1) / part_rows;
  trainer.raise({.kind = "memory",
                 .text = fmt::format("out of memory with {} samples at once: each step is now computed in {} parts of {}, the batch of {} stays ({})", rows,
                                     parts,
                                     part_rows, batch.size(), error.message()),
                 .value = static_cast<double>(rows), .limit = static_cast<double>(part_rows), .step = at.step});
}

/// Takes the loss scale out of the gradients again. False where they overflowed: then the scale is halved and the step has no update.
bool Trainer::State::unscale() {
  if (!scaled) return true;
  std::vector<at::Tensor> gradients;
  for (const optim::Parameter& parameter : parameters)
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  if (gradients.empty()) return true;
  at::Tensor overflow = at::zeros({1}, at::kFloat);
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow, at::full({}, 1 / figures.loss_scale, at::kFloat));
  const bool fine = overflow.item<float>() == 0;
  if (fit.precision.loss_scale > 0) return fine;
  if (!fine) {
    loss_scale = std::max(1.0, loss_scale / 2);
    scale_age = 0;
  } else if (++scale_age == kScaleGrows) {
    loss_scale = std::min(loss_scale * 2, 16777216.0);
    scale_age = 0;
  }
  return fine;
}

void Trainer::State::update(Trainer& trainer) {
  const at::NoGradGuard no_grad;
  figures.skipped = !unscale();
  if (figures.skipped) return;
  const bool by_norm = fit.loop.clip_grad > 0 && fit.loop.clip_mode == "norm";
  for (const auto& callback : callbacks) callback->on_gradients(trainer);
  if (by_norm || (norm_every > 0 && (at.step + 1) % norm_every == 0)) figures.gradient_norm = gradient_norm(parameters);
  for (const auto& callback : callbacks) callback->on_backward(trainer);
  if (fit.loop.clip_grad > 0) clip(parameters, fit.loop.clip_mode, fit.loop.clip_grad, figures.gradient_norm);
  optimizer->step(lr);
  note_written();
}

void Trainer::State::step(Trainer& trainer) {
  const auto begin = std::chrono::steady_clock::now();
  const optim::ScheduleContext context{
      .step = at.step, .total = trainer.total_steps(), .steps_per_epoch = trainer.steps_per_epoch(), .history = &history};
  lr = options.rate ? options.rate(at.step) : optim::learning_rate(fit.optim, fit.schedule, context);
  figures = {.step = at.step, .lr = lr, .gradient_norm = std::nan(""), .loss_scale = scaled ? loss_scale : 1, .samples = batch.size(),
             .loader_seconds = figures.loader_seconds};
  for (const auto& callback : callbacks) callback->on_batch(trainer, batch);
  compute(trainer);
  update(trainer);
  drop_gradients();
  at.loss_sum += figures.loss * static_cast<double>(figures.counted);
  at.correct += correct;
  at.seen += figures.counted;
  samples += batch.size();
  ++at.batch;
  ++at.step;
  figures.seconds = seconds_since(begin);
  for (const auto& callback : callbacks) callback->on_step(trainer);
}

void Trainer::compute_gradients() {
  const at::AutoGradMode on(true);
  const StepFigures before = state_->figures;
  const std::int64_t correct = state_->correct;
  state_->compute(*this);
  if (state_->scaled) {
    const double scale = state_->figures.loss_scale;
    for (const optim::Parameter& parameter : state_->parameters)
      if (parameter.value.grad().defined()) parameter.value.mutable_grad().div_(scale);
  }
  state_->figures = before;
  state_->correct = correct;
}

std::vector<at::Tensor> Trainer::forward(const data::Batch& part, std::uint64_t draw) {
  exec::RunContext context = state_->context_of(part);
  if (draw > 0) context.seed = exec::stream_key(context.seed, "draw", std::to_string(draw));
  context.update_statistics = false;
  return state_->forward(part, context, {});
}

at::Tensor Trainer::loss(const std::vector<at::Tensor>& outputs, const data::Batch& part) const {
  return summed_loss(*state_->loss, outputs, part).div(static_cast<double>(std::max<std::int64_t>(1, state_->loss->counted(part.labels))));
}

}  // namespace ds::train

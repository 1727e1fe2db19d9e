#include <fmt/format.h>

#include <cmath>

#include "base/catalog/shared.h"
#include "base/core/log.h"
#include "engine/optim/optimizer.h"

namespace ds::optim {
namespace {

const catalog::Schedule& shared(const core::Choice& schedule) { return schedule.as<catalog::Schedule>(); }

double& lr_of(const core::Choice& optimizer) {
  const core::Fields fields = core::walk(*optimizer.options);
  for (const core::Entry& entry : fields.entries())
    if (entry.path == "lr") return *std::get<double*>(entry.target);
  throw Error(Exit::kFailure, "optim.name", fmt::format("optimizer '{}' has no option 'lr'", optimizer.name));
}

}  // namespace

std::int64_t warmup_steps(const core::Choice& schedule, const ScheduleContext& at) {
  const catalog::Schedule& options = shared(schedule);
  if (options.warmup_steps > 0) return options.warmup_steps;
  return std::llround(options.warmup_epochs * static_cast<double>(at.steps_per_epoch));
}

double schedule_factor(const core::Choice& schedule, const ScheduleContext& at) {
  auto* const body = core::body<ScheduleFactor>("schedule", schedule.name);
  const std::int64_t warmup = warmup_steps(schedule, at);
  if (shared(schedule).rises_itself()) return body(*schedule.options, at, warmup);
  ScheduleContext after = at;
  after.step = std::max<std::int64_t>(0, at.step - warmup);
  after.total = std::max<std::int64_t>(1, at.total - warmup);
  const double factor = body(*schedule.options, after, warmup);
  if (at.step >= warmup) return factor;
  const double from = shared(schedule).warmup_factor;
  return factor * (from + (1 - from) * (static_cast<double>(at.step + 1) / static_cast<double>(warmup)));
}

double learning_rate(const core::Choice& optimizer, const core::Choice& schedule, const ScheduleContext& at) {
  const double lr = lr_of(optimizer);
  if (core::is_auto(lr)) throw Error(Exit::kFailure, "optim.lr", "is still 'auto' in a step");
  return lr * schedule_factor(schedule, at);
}

void check_schedule(const core::Choice& schedule, const ScheduleContext& whole) {
  schedule.options->check();
  const std::int64_t warmup = warmup_steps(schedule, whole);
  if (warmup == 0 || warmup < whole.total || whole.total == 0) return;
  throw Error(Exit::kUsage, shared(schedule).warmup_steps > 0 ? "schedule.warmup_steps" : "schedule.warmup_epochs",
              fmt::format("a warm-up of {} steps, the run has {}", warmup, whole.total), "shorten it, or raise train.epochs");
}

void resolve_auto(core::Choice& optimizer, const core::Choice& schedule, std::int64_t batch) {
  if (!core::is_auto(lr_of(optimizer))) return;
  const double samples = static_cast<double>(batch);
  const bool by_default = optimizer.name == "adam" || optimizer.name == "adamw" || optimizer.name == "lamb";
  if (!by_default && !(optimizer.name == "sgd" && schedule.name == "cosine"))
    throw Error(Exit::kUsage, "optim.lr", fmt::format("'auto' has no rule for optimizer '{}' with schedule '{}'", optimizer.name, schedule.name),
                "it has for sgd with cosine, adam, adamw and lamb; --find-lr measures one");
  lr_of(optimizer) = by_default ? lr_of(core::Choice("optimizer", optimizer.name)) * std::sqrt(samples / 64) : 0.05 * std::sqrt(samples);
  core::info(fmt::format("optim.lr: auto is {:.4g} for a batch of {}", lr_of(optimizer), batch));
}

}  // namespace ds::optim

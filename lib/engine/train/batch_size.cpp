#include "engine/train/batch_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "base/io/files.h"
#include "engine/exec/memory.h"
#include "engine/train/trial.h"

namespace ds::train {
namespace {

constexpr std::int64_t kLeastSteps = 20;  // an epoch has

/// The batch of the run that is gone on with, 0 where there is none.
std::int64_t saved_batch_size(const TrainerOptions& options) {
  if (!options.resume) return 0;
  for (const std::string& path : {options.run_dir.empty() ? "" : options.run_dir + "/last.h5", options.partial}) {
    if (path.empty() || !io::exists(path)) continue;
    const Json config = io::load(path, {.tensors = false}).config;
    const Json train = config.is_object() ? config.value("train", Json::object()) : Json::object();
    if (train.is_object() && train.contains("batch_size") && train["batch_size"].is_number_integer()) return train["batch_size"].get<std::int64_t>();
  }
  return 0;
}

}  // namespace

std::int64_t first_batch_size(std::int64_t memory_bytes, std::int64_t devices, std::int64_t samples) {
  const std::int64_t wanted = std::max<std::int64_t>(1, 4 * devices * memory_bytes / 1'000'000'000);
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(1, samples)))));
}

std::int64_t find_batch_size(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, const TrainerOptions& options,
                             io::Checkpoint& checkpoint) {
  std::int64_t batch = saved_batch_size(options);
  std::int64_t measured = 0;
  if (batch == 0) {
    const std::int64_t limit = exec::memory_limit() > 0 ? exec::memory_limit() : core::memory_limit_bytes("auto"), samples = data.train.size();
    const auto fits = [&](std::int64_t size) {
      commands::FitOptions trial = fit;
      trial.loop.batch_size = size;
      trial.loop.grad_accum_steps = 1;
      trial.precision.out_of_memory = "fail";
      TrainerOptions quiet = options;
      quiet.rate = [](std::int64_t) { return 0.0; };
      exec::reset_peak();
      try {
        try_steps(model, data, trial, quiet, checkpoint, 2, [](const StepFigures&) { return true; });
      } catch (const Error& e) {
        if (e.code() != Exit::kResource) throw;
        return false;
      }
      measured = exec::memory_use().peak;
      return measured <= limit / 10 * 9;
    };
    batch = first_batch_size(limit, 1, samples);
    if (fits(batch)) {
      while (2 * batch * kLeastSteps <= samples && fits(2 * batch)) batch *= 2;
    } else {
      do {
        if (batch == 1)
          throw Error(Exit::kResource, "train.batch_size", "one sample alone does not fit in memory",
                      "set precision.checkpointing to all, or raise --memory-limit");
        batch /= 2;
      } while (!fits(batch));
    }
    core::info(fmt::format("train.batch_size: auto is {} (a step takes {} MB of {} MB)", batch, measured / 1'000'000, limit / 1'000'000));
  }
  if (checkpoint.config.is_object() && checkpoint.config.contains("train")) checkpoint.config["train"]["batch_size"] = batch;
  return batch;
}

}  // namespace ds::train

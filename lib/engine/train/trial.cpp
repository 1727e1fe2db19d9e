#include "engine/train/trial.h"

#include "base/core/error.h"
#include "base/core/signals.h"

namespace ds::train {
namespace {

struct Enough {};

class Watch : public Callback {
 public:
  Watch(std::int64_t steps, const std::function<bool(const StepFigures&)>& on_step) : steps_(steps), on_step_(on_step) {}
  void on_step(Trainer& trainer) override {
    if (!on_step_(trainer.last_step()) || trainer.step() >= steps_) throw Enough();
  }

 private:
  std::int64_t steps_;
  const std::function<bool(const StepFigures&)>& on_step_;
};

}  // namespace

void try_steps(const exec::Model& model, const data::Dataset& data, commands::FitOptions fit, TrainerOptions options, const io::Checkpoint& checkpoint,
               std::int64_t steps, const std::function<bool(const StepFigures&)>& on_step) {
  exec::Model copy = model.clone();
  io::Checkpoint documents = checkpoint;
  fit.watch = core::CardGroup("tracker");
  fit.anomaly = {};
  fit.anomaly.loss_rise = 0;
  fit.loop.epochs = steps;  // at least a step each
  fit.loop.keep = "last";
  options.run_dir.clear();
  options.partial.clear();
  options.resume = false;
  options.phase = "trial";
  Trainer trainer(copy, data, fit, std::move(options), documents);
  trainer.add(std::make_shared<Watch>(steps, on_step));
  try {
    if (trainer.run() == Outcome::kStopped) throw Error(Exit::kInterrupted, "", "stopped by a signal before the run began, nothing saved");
  } catch (const Enough&) {
  }
}

}  // namespace ds::train

#include "engine/train/anomaly.h"

#include <fmt/format.h>

namespace ds::train {
namespace {

constexpr double kKept = 0.98;             // of the running mean a step
constexpr std::int64_t kFirst = 20;        // steps before the mean says anything
constexpr std::int64_t kQuiet = 100;       // steps from one alarm to the next

class Anomalies : public Callback {
 public:
  explicit Anomalies(const commands::FitOptions& fit) : options_(fit.anomaly) {}

  void on_start(Trainer& trainer) override {
    if (options_.gradient_norm_after < 0)
      options_.gradient_norm_after = optim::warmup_steps(trainer.fit().schedule, {.steps_per_epoch = trainer.steps_per_epoch()});
    if (options_.gradient_norm > 0) trainer.want_gradient_norm();
  }

  void on_backward(Trainer& trainer) override {
    const double norm = trainer.last_step().gradient_norm;
    if (options_.gradient_norm <= 0 || trainer.step() < options_.gradient_norm_after || norm <= options_.gradient_norm) return;
    trainer.give_up({.kind = "gradient_norm",
                     .text = fmt::format("the norm of all gradients is {:.4g} at step {}, above anomaly.gradient_norm {:.4g}", norm, trainer.step(),
                                         options_.gradient_norm),
                     .value = norm, .limit = options_.gradient_norm, .step = trainer.step()},
                    "lower optim.lr, set schedule.warmup_steps (500 helps most runs that do not converge) or train.clip_grad");
  }

  void on_step(Trainer& trainer) override {
    const StepFigures& figures = trainer.last_step();
    if (options_.loss_rise <= 0 || figures.counted == 0) return;
    const double mean = seen_ > 0 ? sum_ / weight_ : 0, limit = mean * (1 + options_.loss_rise);
    const bool rises = seen_ >= kFirst && mean > 0 && figures.loss > limit && figures.step >= quiet_until_;
    sum_ = kKept * sum_ + (1 - kKept) * figures.loss;
    weight_ = kKept * weight_ + (1 - kKept);
    ++seen_;
    if (!rises) return;
    quiet_until_ = figures.step + kQuiet;
    trainer.raise({.kind = "loss",
                   .text = fmt::format("the loss of step {} is {:.4g}, {:.0f} % above its running mean {:.4g}", figures.step, figures.loss,
                                       100 * (figures.loss / mean - 1), mean),
                   .value = figures.loss, .limit = limit, .step = figures.step});
  }

  Json state() const override { return {{"sum", sum_}, {"weight", weight_}, {"seen", seen_}, {"quiet_until", quiet_until_}}; }
  void load_state(const Json& state) override {
    sum_ = state.at("sum").get<double>(), weight_ = state.at("weight").get<double>();
    seen_ = state.at("seen").get<std::int64_t>(), quiet_until_ = state.at("quiet_until").get<std::int64_t>();
  }

 private:
  commands::AnomalyOptions options_;
  double sum_ = 0, weight_ = 0;  // their quotient is the mean, without a bias to where it began
  std::int64_t seen_ = 0, quiet_until_ = 0;
};

}  // namespace

std::shared_ptr<Callback> watch_anomalies(const commands::FitOptions& fit) {
  if (fit.anomaly.gradient_norm <= 0 && fit.anomaly.loss_rise <= 0) return nullptr;
  return std::make_shared<Anomalies>(fit);
}

}  // namespace ds::train

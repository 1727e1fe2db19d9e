// Options that cards of one kind have in common.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/core/registry.h"

namespace ds::catalog {

/// Of a schedule: a linear rise before it, in steps or in epochs. The engine applies it in one place (optim::schedule_factor).
struct Schedule : core::Options {
  std::int64_t warmup_steps = 0;
  double warmup_epochs = 0;
  double warmup_factor = 0;  ///< where the rise begins, as a share of the rate that it ends at

  /// The schedule's own shape has a rise, which warmup_steps or warmup_epochs make as long as they say.
  virtual bool rises_itself() const { return false; }

  void warmup_fields(core::Fields& f) {
    f.add({.name = "warmup_steps", .doc = "steps of a linear rise at the start; 500 help runs that do not converge", .min = 0, .unit = "steps",
           .alias = "warmup-steps"}, warmup_steps);
    f.add({.name = "warmup_epochs", .doc = "the same in epochs", .min = 0, .unit = "epochs", .alias = "warmup-epochs"}, warmup_epochs);
    f.add({.name = "warmup_factor", .doc = "share of the rate that the rise begins at", .min = 0, .max = 1, .below_max = true}, warmup_factor);
  }
  void check() const override {
    if (warmup_steps > 0 && warmup_epochs > 0)
      throw Error(Exit::kUsage, "schedule.warmup_epochs", "is given beside schedule.warmup_steps, expected one of the two");
  }
};

/// Of an optimizer: its learning rate.
inline void add_lr(core::Fields& f, double& lr, const char* of_auto) {
  f.add({.name = "lr", .doc = std::string("learning rate that the schedule scales; auto: ") + of_auto, .min = 0, .above_min = true, .alias = "lr",
         .or_auto = true}, lr);
}
inline constexpr const char* kAutoAdam = "the default times sqrt(batch / 64)";
inline constexpr const char* kAutoNone = "not with this optimizer";

/// Of an optimizer: how its running means are kept.
inline void add_state_bits(core::Fields& f, std::string& bits) {
  f.add({.name = "state_bits", .doc = "bits a number of the optimizer's state: 32 (as the weights), 16 (bfloat16) or 8 (in blocks of 256)",
         .choices = {"32", "16", "8"}, .alias = "state-bits"}, bits);
}

/// Of a loss of classes: "balanced", or one number a class; empty: all 1.
inline void add_class_weights(core::Fields& f, std::vector<std::string>& weights) {
  f.add({.name = "class_weights", .doc = "what a sample counts by its class: balanced (samples / classes / samples of the class), or a number a class",
         .value_name = "W"}, weights);
}

inline void check_betas(const std::vector<double>& betas) {
  if (betas.size() != 2) throw Error(Exit::kUsage, "optim.betas", "expected two values, got " + std::to_string(betas.size()));
}

}  // namespace ds::catalog

// The range test of learning rates (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3).
#pragma once
#include <string>
#include <vector>

#include "engine/train/trainer.h"

namespace ds::train {

struct LrRange {
  double from = 1e-7, to = 10;
  std::int64_t steps = 100;  ///< the rate rises by the same factor in each
};

struct LrCurve {
  std::vector<double> lr, loss;  ///< of each step; the last loss may be what ended the ramp
  std::vector<double> smooth;    ///< running mean with decay 0.9, corrected for its start at zero
  double suggested = 0;          ///< where the smoothed loss falls most steeply over the logarithm of the rate
  bool diverged = false;         ///< the smoothed loss passed 4 times its lowest, or was not finite
  /// {"suggested", "diverged", "lr", "loss", "smooth"}
  Json to_json() const;
  /// A picture of the curve as a file of its own.
  std::string svg() const;
};

/// Trains a copy of the model with a rate that rises from step to step; the model stays as it is. Throws ds::Error(kFailure) where too few steps
/// have a finite loss.
LrCurve find_lr(const exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, const TrainerOptions& options,
                const io::Checkpoint& checkpoint, const LrRange& range = {});

/// The curve of these losses: smoothing, suggestion. `lr` rises by the same factor from one to the next.
LrCurve curve_of(std::vector<double> lr, std::vector<double> loss);

}  // namespace ds::train

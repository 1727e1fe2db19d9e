// What the model of the objective is fitted to, made of the metrics of a study.
#pragma once
#include <vector>

namespace ds::tune {

/// Zero mean and unit variance. With `half_rank`, values below the median first become the quantiles of a normal distribution that the
/// good half suggests, so that a diverged run does not bend the model (half-rank warper of OSS Vizier, arXiv:2408.11527, section on output
/// warping). Failed trials (NaN) get a value below the worst, and all are shifted so that 0, the model's prior mean, is the value expected
/// of an unknown trial (the same, infeasible warper). Expects at least one finite value.
std::vector<double> model_outputs(const std::vector<double>& values, bool half_rank);

}  // namespace ds::tune

// Bounds on gradients.
#pragma once
#include <string>
#include <vector>

#include "engine/optim/optimizer.h"

namespace ds::train {

/// Norm of all gradients together; 0 where there are none.
double gradient_norm(const std::vector<optim::Parameter>& parameters);
/// "norm": scales all gradients so that their norm, which is `norm`, is at most `limit`. "value": each element to [-limit, limit]. "adaptive":
/// each unit (first dim) to a norm of at most limit * max(norm of its weights, 1e-3) (Brock et al. 2021, eq. 3; as there, not for the last layer's:
/// those of `skip`).
void clip(const std::vector<optim::Parameter>& parameters, const std::string& mode, double limit, double norm, const std::string& skip = "");

}  // namespace ds::train

#include "base/catalog/schedule/constant.h"

#include "engine/optim/optimizer.h"

namespace ds::optim::constant {

double factor(const core::Options&, const ScheduleContext&, std::int64_t) { return 1; }
const core::Body<ScheduleFactor> body{"schedule", "constant", factor};

}  // namespace ds::optim::constant

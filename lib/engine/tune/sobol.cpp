#include "base/catalog/sampler/sobol.h"

#include "engine/tune/sampler.h"

namespace ds::tune::sobol_sequence {
namespace {

Suggestion suggest(const core::Options&, const Task& task) { return design_point(task); }
const core::Body<Suggest> body{"sampler", "sobol", suggest};

}  // namespace
}  // namespace ds::tune::sobol_sequence

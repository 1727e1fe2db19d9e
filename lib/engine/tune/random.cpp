#include "base/catalog/sampler/random.h"

#include "engine/tune/sampler.h"

namespace ds::tune::random {
namespace {

Suggestion suggest(const core::Options&, const Task& task) {
  exec::Stream stream(exec::stream_key(task.seed, "tune-random"), static_cast<std::uint64_t>(task.trial));
  return random_point(task, stream);
}
const core::Body<Suggest> body{"sampler", "random", suggest};

}  // namespace
}  // namespace ds::tune::random

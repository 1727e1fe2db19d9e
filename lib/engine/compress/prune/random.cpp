#include "base/catalog/criterion/random.h"

#include "engine/compress/prune/criterion.h"
#include "engine/exec/random.h"

namespace ds::compress::random_criterion {

std::vector<double> score(const ScoreContext& context, const core::Options&) {
  std::vector<double> scores(context.classes.classes.size());
  // Keyed by the group's name: pruning one layer draws the same numbers in the others.
  for (const auto& group : context.classes.groups) {
    exec::Stream stream(exec::stream_key(context.seed, "prune", group.name));
    for (const int k : group.classes) scores[std::size_t(k)] = stream.uniform();
  }
  return scores;
}

const core::Body<ScoreClasses> body{"criterion", "random", score};

}  // namespace ds::compress::random_criterion

// Samplers: one a file in tune/, card in base/catalog/sampler. A suggestion is a pure function of what is in the Task, so that a study can be
// gone on with, or replayed, bit for bit.
#pragma once
#include <set>
#include <string>

#include "base/commands/tune_study.h"
#include "base/core/registry.h"
#include "engine/exec/random.h"
#include "engine/tune/points.h"

namespace ds::tune {

using commands::Json;
using commands::TuneSpace;

struct Observation {
  std::int64_t trial = 0;
  Json parameters;
  double value = 0;  ///< the metric, larger is better; NaN: a failed trial
};

struct Task {
  const TuneSpace* space = nullptr;
  std::uint64_t seed = 0;
  std::int64_t trial = 1;         ///< of which a configuration is wanted
  std::int64_t planned = 0;       ///< trials in all; 0: not known
  std::vector<Observation> seen;  ///< finished, by id
  std::vector<Json> pending;      ///< configurations under way, by id
  std::set<std::string> taken;    ///< `dump()` of the configurations of all trials: none is suggested twice
};

struct Suggestion {
  Json parameters;           ///< null where every configuration of the space has been taken
  Json why = Json::object();
};

using Suggest = Suggestion(const core::Options& options, const Task& task);
/// The suggestion of the sampler of that name; a trial's default configuration comes first whatever the sampler.
Suggestion suggest(const core::Choice& sampler, const Task& task);

/// Places for a point of the unit cube: indices for categorical columns, the middle of the cell for a grid.
std::vector<double> snap(const TuneSpace& space, const std::vector<double>& point);
/// Point number trial - 1 of the study's Sobol sequence, or the next after the planned ones that is not taken.
Suggestion design_point(const Task& task);
/// A configuration that is not taken, drawn at random; null where there is none.
Suggestion random_point(const Task& task, exec::Stream& stream);

}  // namespace ds::tune

// Suggestions for the trials of a study folder, and their replay.
#pragma once
#include <optional>

#include "engine/tune/sampler.h"

namespace ds::tune {

/// The study's sampler with its options.
core::Choice study_sampler(const commands::TuneStudy& study);

/// Makes the next trial, claimed by this process or `handed_out`. `planned`: trials in all, 0 where not known. None where every
/// configuration of the space has been taken.
std::optional<commands::TuneTrial> ask(const commands::TuneStudy& study, std::int64_t planned, bool handed_out);

/// Makes every suggestion of the study again from what it was made from. Throws ds::Error(kGate) naming the first that differs in any bit.
/// Returns how many there are.
std::int64_t replay(const commands::TuneStudy& study);

}  // namespace ds::tune

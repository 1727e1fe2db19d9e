// What a float net's values look like on training samples.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/compress/quantize/observer.h"
#include "engine/compress/quantizer.h"

namespace ds::compress {

/// Scale and zero point of each named value, from these batches through the float model.
/// Values of one list share theirs: they cover all of the list's members.
/// Throws ds::Error(kFailure), naming the value, where activations are not finite; kUsage for an unknown observer.
std::map<std::string, QParams> calibrate(exec::Model& model, const EachBatch& batches, const CalibrationOptions& options,
                                         const std::vector<std::vector<std::string>>& shared);

}  // namespace ds::compress

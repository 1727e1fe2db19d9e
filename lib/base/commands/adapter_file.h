// Files of adapters: a checkpoint that holds the whole graph, and of its tensors only those that its base has not. The base is named by root digest.
#pragma once
#include <string>

#include "base/core/tool.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

/// Throws what reading `path` as an adapter file would throw for a wrong file, cheaply: for check_files. "" is none.
void check_adapter(const std::string& path);

/// Makes an adapter file of a checkpoint whose graph has adapters: drops the tensors that `base` has too, bit for bit, and names it.
void to_adapter(io::Checkpoint& checkpoint, const io::Checkpoint& base);

/// The checkpoint that `base` and the adapter file give together: graph, documents and provenance of the adapter, all tensors. `merge`: what adapters
/// learned is put into the weights where that is exact (graph/adapters.h); record["merged"] and record["adapters_kept"] name the layers.
/// Notes the input "adapter". Throws ds::Error(kInput) for a file that is no adapter, or one of another base, which the message names.
io::Checkpoint with_adapter(const io::Checkpoint& base, const std::string& path, bool merge, core::Record& record);

struct ConvertCommand;
/// ds-convert base.h5 --adapter a.h5 -o merged.h5
void convert_adapter(const ConvertCommand& options, core::Record& record);

}  // namespace ds::commands

// Activation checkpointing: which activations a training step computes again in backward instead of keeping them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/graph/graph.h"

namespace ds::exec {

/// Nodes `first` to `last` of a graph, by their place in it.
struct Segment {
  std::int64_t first = 0, last = 0;
  bool operator==(const Segment&) const = default;
};

/// A segment keeps what goes into it alone; backward runs it again, with the same random numbers, and then knows what it needs. Gradients are
/// those without checkpointing, bit for bit: each use of a value or weight hands its gradient on by itself, in the order of plain backward.
/// (So a kernel that reads one input by several ops reads an alias of it: the parts are then summed there in both ways.)
/// A tapped value is never inside a segment: it ends one.
///
/// Blocks, of which kAll and kEvery make segments, lie between cuts where one value with a gradient lives: a residual block, half an encoder
/// layer, a layer of a chain. The last segment is not run again, since backward would begin with it.
struct Checkpointing {
  enum class Kind {
    kNone,
    kAll,      ///< about sqrt(blocks) segments of equal bytes (Chen et al. 2016, arXiv:1604.06174, section 4.1)
    kEvery,    ///< segments of `every` blocks
    kSegments  ///< `segments`, in order and apart; the nodes between them keep their activations
  };
  Kind kind = Kind::kNone;
  std::int64_t every = 0;
  std::vector<Segment> segments = {};
  bool operator==(const Checkpointing&) const = default;
};

/// "none", "all" or "every:N". Throws ds::Error(kUsage, "precision.checkpointing") for another.
Checkpointing parse_checkpointing(const std::string& text);

/// A list of steps as choosing segments sees it, in the order in which they run.
struct StepSketch {
  std::vector<std::int64_t> nodes;  ///< places in the graph; the step runs where the last one stands
  std::vector<int> in, out;  ///< values
  bool grows = false;        ///< has a parameter: what it makes has a gradient
};
/// Ranges [begin, end) of steps that checkpoint. @param bytes of each value   @param floats which values are of floats
/// @param ends steps after which a segment must end
std::vector<std::pair<int, int>> checkpointed_ranges(const Checkpointing& how, const std::vector<StepSketch>& steps, const std::vector<double>& bytes,
                                                     const std::vector<bool>& floats, const std::vector<bool>& ends);

}  // namespace ds::exec

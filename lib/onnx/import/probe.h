// What exporters compute of sizes, positions and masks is many small nodes, each exporter's in its own way. What they mean together is found by
// working them out, at several sizes and for several masks, and by looking which of our ops gives just that.
#pragma once
#include "onnx/import/importer.h"

namespace ds::onnx::imports {

/// What attention adds to its scores, or whether it may look.
struct Mask {
  bool found = false;
  bool causal = false;  ///< query s sees the keys 0 to s
  std::string keys;     ///< of our graph: int64 [N, S], 0 hides a key; "" = all of them are seen
};
/// @param value numbers that are added (0, or -1e4 and below where a key is hidden), or truths where `truths` (true: it is seen)
Mask probe_mask(Reader& r, const std::string& value, bool truths);

/// Rows of a table that do not depend on what the tokens are.
struct Places {
  bool found = false;
  bool same = false;            ///< all of them are the row `first`
  std::int64_t first = 0;
  std::int64_t padding = -1;    ///< as the op position_ids has it
  std::string tokens;           ///< of our graph: int64 [N, S], of which they are the positions
  std::size_t rank = 0;
};
Places probe_places(Reader& r, const std::string& value);

}  // namespace ds::onnx::imports

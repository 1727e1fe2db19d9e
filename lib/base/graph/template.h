// Parameters and repetitions in graphs that people write, as text before it is a graph:
//
//   parameters: {width: 16, depth: 2, p: 0.1}
//   inputs: [{name: image, dims: [N, $(in_channels), H, W]}]
//   nodes:
//     - {name: stem, op: conv2d, attrs: {out_channels: $(width), kernel: [3, 3], padding: [1, 1]}}
//     - repeat: {i: $(depth)}
//       nodes:
//         - {name: block$(i).conv, op: conv2d, attrs: {out_channels: $(width), kernel: [3, 3], padding: [1, 1]}}
//         - {name: block$(i).add, op: add, inputs: [block$(i).conv, $(in)]}
//
// `$(...)` stands wherever a value stands, alone or within a text: a parameter, an index, or arithmetic on whole numbers as in sizes, such as
// $(2*width) or $(floor(width/2)). `repeat` counts an index from 0 (`i: 3`) or gives it the values of a list (`c: [16, 32]`); several run side by
// side, and repetitions may be nested. `$(in)` is the value that a round begins with: what the node before it made.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "base/core/yaml.h"

namespace ds::graph {

struct Parameters {
  nlohmann::json given = nlohmann::json::object();  ///< in place of the values that `parameters` states; of a name that it has not: an error
  nlohmann::json fixed = nlohmann::json::object();  ///< further names, which the text cannot state
};

/// The document without `parameters`, `repeat` and `$(...)`. What is left keeps its line. Throws ds::Error(kInput, "where:line", ...).
core::Value expand(const core::Value& document, const Parameters& parameters, const std::string& where);

}  // namespace ds::graph

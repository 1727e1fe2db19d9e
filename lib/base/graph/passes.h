// Passes that every later step shares. A pass takes a graph (and its tensors) and gives new ones; the verifier has run on the result.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/graph/graph.h"

namespace ds::graph {

/// A graph with its tensors: what a pass gives.
struct Folded {
  Graph graph;
  std::map<std::string, io::Array> tensors;
  std::vector<std::string> folded;  ///< names of the nodes that went
};

/// Folds every batch_norm2d into the conv2d or linear before it, where it is that node's only user: with s = weight / sqrt(running_var + eps),
/// W' = W s per output channel and b' = (b - running_mean) s + bias (Jacob et al. 2018, arXiv:1712.05877, eq. 14). Arithmetic is float64,
/// W' and b' are float32. The node keeps its name and gets a bias where it has none; users of the batch norm read the node instead.
/// Left alone: values that are outputs of the graph, tensors that several nodes share, and slices. `tensors` may lack tensors that are not
/// folded. Throws ds::Error(kInput) where a tensor that is needed is missing or is not of a float type.
Folded fold_batch_norm(const Graph& graph, const std::map<std::string, io::Array>& tensors);

/// The nodes that follow each other from `first` with exactly these ops, each the only user of the one before, whose value is no output
/// of the graph: {"conv1", "bn1", "relu"}; empty where the chain does not stand. An op may be "a|b".
std::vector<std::string> find_chain(const Graph& graph, const std::string& first, const std::vector<std::string>& ops);

/// Every use of a value, by nodes and outputs, becomes a use of another.
void replace_value(Graph& graph, const std::string& value, const std::string& by);

/// Sets the probability `p` of every dropout node; below 0 leaves them. Throws ds::Error(kUsage) where p > 0 and the graph has none.
void set_dropout(Graph& graph, double p);

/// Drops nodes whose values reach no output, then tensors that no slot reads; returns the names of the dropped tensors.
std::set<std::string> remove_dead(Graph& graph);

}  // namespace ds::graph

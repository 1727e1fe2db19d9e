// Builds graphs: makes slots and their tensors from the op's schema, so that architectures read as a list of layers.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/graph/graph.h"

namespace ds::graph {

/// The name of a value in the graph that is being built.
using Value = std::string;

class Builder {
 public:
  Value input(const std::string& name, DType dtype, std::vector<Dim> dims);
  void output(const std::string& name, const Value& value);

  /// Adds a node. Tensors of its slots are `<name>.<slot>`, made from the schema unless `slots` names others (ties, slices). Optional slots
  /// are made unless they are listed in `without`. A tensor of that name that tensor() added is taken as it is.
  /// Throws ds::Error(kInput) where the node does not fit.
  Value node(const std::string& op, const std::string& name, const std::vector<Value>& inputs, Json attrs = Json::object(),
             std::map<std::string, Slot> slots = {}, const std::set<std::string>& without = {});
  /// Adds a tensor to the table by hand (for slots that share or slice it, and free ones).
  void tensor(TensorSpec spec);
  const ValueType& type(const Value& value) const;
  /// Output i of the node whose first output is `value`.
  static Value output_of(const Value& value, int i) { return i == 0 ? value : value + ":" + std::to_string(i); }

  // The common ops by name; others through node().
  Value conv2d(const std::string& name, const Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1, std::int64_t padding = 0,
               bool bias = true, std::int64_t groups = 1);
  Value linear(const std::string& name, const Value& x, std::int64_t out, bool bias = true);
  Value batch_norm2d(const std::string& name, const Value& x, double eps = 1e-5, double momentum = 0.1);
  Value layer_norm(const std::string& name, const Value& x, double eps = 1e-5);
  Value relu(const std::string& name, const Value& x);
  Value gelu(const std::string& name, const Value& x);
  Value add(const std::string& name, const Value& a, const Value& b);
  Value dropout(const std::string& name, const Value& x, double p);
  Value max_pool2d(const std::string& name, const Value& x, std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0, bool ceil = false);
  Value global_avg_pool(const std::string& name, const Value& x);  ///< [N, C, H, W] -> [N, C, 1, 1]
  Value flatten(const std::string& name, const Value& x, std::int64_t start = 1);

  /// The finished graph, verified. `meta` as Graph::meta.
  Graph finish(Json meta = Json::object());

 private:
  Graph graph_;
  std::map<std::string, ValueType> types_;
  std::vector<TensorSpec> pending_;  ///< added by hand and not used yet: the table is in order of first use
};

}  // namespace ds::graph

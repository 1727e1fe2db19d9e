#include "base/catalog/adapter/bottleneck.h"

#include <algorithm>

namespace ds::train::bottleneck_adapter {

/// The only user of a value is a sum, perhaps behind dropout or a factor: the end of a residual branch.
bool ends_branch(const graph::Graph& graph, const graph::Node& node) {
  std::string value = node.output();
  for (;;) {
    const auto users = graph.users(value);
    if (users.size() != 1) return false;
    if (users[0]->op == "add") return true;
    if (users[0]->op != "dropout" && users[0]->op != "drop_path" && users[0]->op != "scale") return false;
    value = users[0]->output();
  }
}

/// What the layer reads comes out of an activation, perhaps gated or behind dropout, and not out of attention.
bool in_mlp(const graph::Graph& graph, const graph::Node& node) {
  static const std::vector<std::string> kActivations = {"relu", "gelu", "silu", "tanh"};
  const graph::Node* from = graph.producer(node.inputs[0]);
  while (from && (from->op == "dropout" || from->op == "mul")) from = graph.producer(from->inputs[0]);
  return from && std::find(kActivations.begin(), kActivations.end(), from->op) != kActivations.end();
}

std::vector<graph::AdapterSite> insert(graph::Graph& graph, const core::Options& given) {
  const auto& options = static_cast<const catalog::adapter::bottleneck::Options&>(given);
  const auto types = graph::infer_types(graph);
  const auto usual = [&](const graph::Node& node) {
    return types.at(node.output()).dims.size() >= 3 && ends_branch(graph, node) && (options.where == "both" || in_mlp(graph, node));
  };
  std::vector<graph::AdapterSite> sites;
  for (const std::string& name : graph::adapter_targets(graph, options, {"linear"}, usual, "bottleneck")) {
    graph::AdapterPlace place(graph, name, true);
    const std::int64_t out = place.base().attrs.at("out_features").get<std::int64_t>();
    place.chain("linear", "adapter_down", {{"out_features", options.dim > 0 ? options.dim : std::max<std::int64_t>(1, out / 16)}}, true);
    place.chain(options.activation, "adapter_act", graph::Json::object(), false);
    place.chain("linear", "adapter_up", {{"out_features", out}}, true, true);
    sites.push_back(place.close("adapter"));
  }
  return sites;
}

const core::Body<graph::InsertAdapters> body{"adapter", "bottleneck", insert};

}  // namespace ds::train::bottleneck_adapter

#include "base/catalog/adapter/lora.h"

namespace ds::train::lora_adapter {

std::vector<graph::AdapterSite> insert(graph::Graph& graph, const core::Options& given) {
  const auto& options = static_cast<const catalog::adapter::lora::Options&>(given);
  const auto types = graph::infer_types(graph);
  const auto on_sequences = [&](const graph::Node& node) { return types.at(node.output()).dims.size() >= 3; };
  std::vector<graph::AdapterSite> sites;
  for (const std::string& name : graph::adapter_targets(graph, options, {"linear"}, on_sequences, "lora")) {
    graph::AdapterPlace place(graph, name, false);
    const std::int64_t out = place.base().attrs.at("out_features").get<std::int64_t>();
    if (options.dropout > 0) place.chain("dropout", "lora_dropout", {{"p", options.dropout}}, false);
    place.chain("linear", "lora_A", {{"out_features", options.rank}}, false);
    place.chain("linear", "lora_B", {{"out_features", out}}, false, true);  // zero: the net begins as the base
    const double factor = options.alpha / static_cast<double>(options.rank);
    if (factor != 1) place.chain("scale", "lora_scale", {{"factor", factor}}, false);
    sites.push_back(place.close("lora"));
  }
  return sites;
}

const core::Body<graph::InsertAdapters> body{"adapter", "lora", insert};

}  // namespace ds::train::lora_adapter

#include "base/catalog/adapter/conv1x1.h"

#include "base/core/error.h"
#include "base/graph/schema.h"

namespace ds::train::conv1x1_adapter {

graph::Json pointwise(std::int64_t out, const graph::Json& stride) { return {{"out_channels", out}, {"kernel", {1, 1}}, {"stride", stride}}; }

/// The middle of its window lies at a multiple of its stride, so that a 1x1 convolution of that stride gives an output of the same size.
bool centred(const graph::Node& node) {
  const graph::Json attrs = graph::full_attributes(node);
  const auto kernel = attrs.at("kernel").get<std::vector<std::int64_t>>(), padding = attrs.at("padding").get<std::vector<std::int64_t>>(),
             dilation = attrs.at("dilation").get<std::vector<std::int64_t>>();
  for (std::size_t d = 0; d < 2; ++d) {
    if (kernel[d] % 2 == 0) return false;
    for (std::size_t side = d; side < padding.size(); side += 2)
      if (padding[side] != dilation[d] * (kernel[d] - 1) / 2) return false;
  }
  return true;
}

std::vector<graph::AdapterSite> insert(graph::Graph& graph, const core::Options& given) {
  const auto& options = static_cast<const catalog::adapter::conv1x1::Options&>(given);
  const bool series = options.placement == "series";
  const auto usual = [&](const graph::Node& node) {
    const graph::Json attrs = graph::full_attributes(node);
    return attrs.at("kernel") != graph::Json{1, 1} && attrs.at("groups") == 1 && (series || centred(node));
  };
  std::vector<graph::AdapterSite> sites;
  for (const std::string& name : graph::adapter_targets(graph, options, {"conv2d"}, usual, "conv1x1")) {
    graph::AdapterPlace place(graph, name, series);
    const graph::Json attrs = graph::full_attributes(place.base());
    if (!series && !centred(place.base()))
      throw Error(Exit::kUsage, "adapter.placement", "'" + name + "' has no middle at its stride: nothing fits beside it",
                  "adapter.placement series");
    const std::int64_t out = attrs.at("out_channels").get<std::int64_t>();
    const graph::Json stride = series ? graph::Json{1, 1} : attrs.at("stride"), one = {1, 1};
    if (options.rank > 0) place.chain("conv2d", "adapter_down", pointwise(options.rank, stride), false);
    place.chain("conv2d", options.rank > 0 ? "adapter_up" : "adapter_conv", pointwise(out, options.rank > 0 ? one : stride), false, true);
    sites.push_back(place.close("adapter"));
  }
  return sites;
}

const core::Body<graph::InsertAdapters> body{"adapter", "conv1x1", insert};

}  // namespace ds::train::conv1x1_adapter

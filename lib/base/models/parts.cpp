#include "base/models/parts.h"

#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"

namespace ds::models {

graph::Value image(graph::Builder& b, const ArchOptions& options) {
  return b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), options.in_channels, options.height, options.width_px});
}

graph::Value dropout(graph::Builder& b, const std::string& name, const graph::Value& x, const NetOptions& options, double otherwise) {
  const double p = options.dropout >= 0 ? options.dropout : otherwise;
  return p > 0 ? b.dropout(name, x, p) : x;
}

graph::Value adaptive_avg_pool(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t size) {
  const std::vector<graph::Dim>& dims = b.type(x).dims;
  if (dims[2] == graph::Dim(size) && dims[3] == graph::Dim(size)) return x;
  return b.node("adaptive_avg_pool2d", name, {x}, {{"size", {size, size}}});
}

std::vector<graph::Value> packed_qkv(graph::Builder& b, const std::string& prefix, const graph::Value& x, std::int64_t dim, const std::string& weight,
                                     const std::string& bias) {
  std::vector<graph::Value> qkv;
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::int64_t begin = i * dim, end = begin + dim;
    qkv.push_back(b.node("linear", fmt::format("{}{}", prefix, "qkv"[i]), {x}, {{"out_features", dim}},
                         {{"weight", {weight, 0, begin, end}}, {"bias", {bias, 0, begin, end}}}));
  }
  return qkv;
}

graph::Value patch_tokens(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t dim, std::int64_t patch) {
  return b.node("permute", "patches", {b.flatten("flatten", b.conv2d(name, x, dim, patch, patch), 2)}, {{"dims", {0, 2, 1}}});
}

void require_patches(const ArchOptions& options, std::int64_t patch) {
  if (options.height % patch != 0 || options.width_px % patch != 0)
    throw Error(Exit::kUsage, "model.patch_size", fmt::format("is {}, which does not divide images of {}x{}", patch, options.height, options.width_px),
                "set model.patch_size to a divisor, such as 4 for 28x28 images");
}

void require_size(const ArchOptions& options, const std::string& arch, std::int64_t least) {
  if (options.height < least || options.width_px < least)
    throw Error(Exit::kUsage, "model.arch",
                fmt::format("{} needs images of at least {}x{}, the data have {}x{}", arch, least, least, options.height, options.width_px),
                "choose a smaller model, such as cnn or mlp");
}

void init_convs_fan_out(graph::Graph& graph) {
  for (const graph::Node& node : graph.nodes) {
    if (node.op != "conv2d") continue;
    graph::TensorSpec& weight = *graph.find_tensor(node.slots.at("weight").tensor);
    weight.init = {{"kind", "kaiming_normal"}, {"fan", weight.shape[0] * weight.shape[2] * weight.shape[3]}, {"gain", std::sqrt(2.0)}};
  }
}

void init_normal(graph::Graph& graph, const std::string& op, double std) {
  for (const graph::Node& node : graph.nodes)
    if (node.op == op) graph.find_tensor(node.slots.at("weight").tensor)->init = {{"kind", "normal"}, {"mean", 0.0}, {"std", std}};
}

void init_zero_biases(graph::Graph& graph, const std::string& op) {
  for (const graph::Node& node : graph.nodes)
    if (node.op == op && node.slots.count("bias")) graph.find_tensor(node.slots.at("bias").tensor)->init = {{"kind", "zeros"}};
}

}  // namespace ds::models

#include "base/graph/residual.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/core/error.h"
#include "base/graph/passes.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace {

std::string node_of(const std::string& value) { return value.substr(0, value.find(':')); }

/// What a shortcut may do to its value: change its shape.
bool projects(const Node& node) {
  static const std::set<std::string> kOps = {"conv2d", "batch_norm2d", "avg_pool2d", "max_pool2d", "identity", "pad"};
  return kOps.contains(node.op);
}

/// Distances from the inputs, and which values lie before which.
class Ways {
 public:
  explicit Ways(const Graph& graph) {
    for (const Node& node : graph.nodes) {
      int depth = 0;
      for (const std::string& input : node.inputs) depth = std::max(depth, depth_[node_of(input)] + 1);
      depth_[node.name] = depth;
      nodes_[node.name] = &node;
    }
  }
  int depth(const std::string& value) const {
    const auto found = depth_.find(node_of(value));
    return found == depth_.end() ? 0 : found->second;
  }
  const Node* node(const std::string& value) const {
    const auto found = nodes_.find(node_of(value));
    return found == nodes_.end() ? nullptr : found->second;
  }
  bool comes_from(const std::string& value, const std::string& from) const {
    std::set<std::string> seen;
    std::vector<std::string> open{value};
    while (!open.empty()) {
      const std::string at = open.back();
      open.pop_back();
      if (at == from) return true;
      const Node* made = node(at);
      if (!made || depth(at) <= depth(from) || !seen.insert(at).second) continue;
      open.insert(open.end(), made->inputs.begin(), made->inputs.end());
    }
    return false;
  }

 private:
  std::map<std::string, int> depth_;
  std::map<std::string, const Node*> nodes_;
};

bool joins(const Ways& ways, const std::string& branch, std::string shortcut) {
  for (;;) {
    const Node* node = ways.node(shortcut);
    if (!node) return false;  // an input of the graph: sums of embeddings
    if (branch != shortcut && ways.comes_from(branch, shortcut)) return true;
    if (!projects(*node)) return false;
    shortcut = node->inputs[0];
  }
}

}  // namespace

std::vector<Residual> residuals(const Graph& graph) {
  const Ways ways(graph);
  std::vector<Residual> found;
  for (const Node& node : graph.nodes) {
    if (node.op != "add") continue;
    const std::size_t branch = ways.depth(node.inputs[0]) >= ways.depth(node.inputs[1]) ? 0 : 1;
    if (joins(ways, node.inputs[branch], node.inputs[1 - branch])) found.push_back({node.name, branch, node.name});
  }
  const auto prefix = [](const std::string& name) { return name.substr(0, name.rfind('.') == std::string::npos ? 0 : name.rfind('.')); };
  for (std::size_t i = 1; i < found.size(); ++i)
    if (const std::string own = prefix(found[i].add); !own.empty() && own == prefix(found[i - 1].add)) found[i].block = found[i - 1].block;
  return found;
}

void set_drop_path(Graph& graph, double p) {
  const std::vector<Residual> found = residuals(graph);
  if (found.empty()) throw Error(Exit::kUsage, "regularize.drop_path", "the model has no residual blocks", "leave it out, or train a model that has some");
  std::vector<std::string> blocks;
  for (const Residual& residual : found)
    if (blocks.empty() || blocks.back() != residual.block) blocks.push_back(residual.block);
  const double last = static_cast<double>(std::max<std::size_t>(1, blocks.size() - 1));
  for (const Residual& residual : found) {
    const double own = p * static_cast<double>(std::find(blocks.begin(), blocks.end(), residual.block) - blocks.begin()) / last;
    const std::string value = graph.find_node(residual.add)->inputs[residual.branch];
    Node* made = graph.find_node(value);
    if (made && made->op == "drop_path") {
      made->attrs["p"] = own;
      continue;
    }
    const Node path{.name = residual.add + ".drop_path", .op = "drop_path", .attrs = {{"p", own}}, .inputs = {value}, .slots = {}, .placement = {}};
    const auto at = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.name == residual.add; });
    at->inputs[residual.branch] = path.name;
    graph.nodes.insert(at, path);
  }
}

void set_spatial_dropout(Graph& graph, double p) {
  std::map<std::string, std::vector<std::string>> readers;  // by value
  bool found = false;
  for (Node& node : graph.nodes) {
    if (node.op == "dropout2d") {
      node.attrs["p"] = p;
      found = true;
    }
    if (node.op != "conv2d") continue;
    const Json attrs = full_attributes(node);
    const auto size = attrs.at("kernel").get<std::vector<std::int64_t>>();
    const Node* made = graph.find_node(node_of(node.inputs[0]));
    const bool wide = std::any_of(size.begin(), size.end(), [](std::int64_t n) { return n > 1; });
    if (wide && attrs.at("groups") == 1 && made && made->op != "dropout2d") readers[node.inputs[0]].push_back(node.name);
  }
  if (readers.empty() && !found)
    throw Error(Exit::kUsage, "regularize.spatial_dropout", "the model has no convolution over several pixels behind its first layer",
                "leave it out, or set regularize.dropout");
  for (const auto& [value, names] : readers) {
    const Node drop{.name = value + ".spatial_dropout", .op = "dropout2d", .attrs = {{"p", p}}, .inputs = {value}, .slots = {}, .placement = {}};
    const auto at = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.name == node_of(value); });
    graph.nodes.insert(at + 1, drop);
    for (const std::string& name : names) std::replace(graph.find_node(name)->inputs.begin(), graph.find_node(name)->inputs.end(), value, drop.name);
  }
}

}  // namespace ds::graph

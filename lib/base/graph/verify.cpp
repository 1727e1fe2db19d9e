#include <fmt/format.h>

#include <cctype>
#include <set>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/graph/schema.h"

namespace ds::graph {
namespace verifier {

constexpr std::size_t kMaxRank = 8, kMaxNodes = 20'000, kMaxTensors = 200'000, kMaxName = 256;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 44;

[[noreturn]] void fail(const std::string& at, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, at, what, hint); }

void check_name(const std::string& at, const std::string& name) {
  bool good = !name.empty() && name.size() <= kMaxName;
  for (const char c : name) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '/');
  if (!good) fail(at, fmt::format("'{}' is not a valid name", name.substr(0, 64)), "names have 1 to 256 letters, digits and _ . - /");
}

void check_tensor(const TensorSpec& spec) {
  const std::string at = fmt::format("tensor '{}'", spec.name);
  check_name(at, spec.name);
  if (spec.shape.size() > kMaxRank) fail(at, fmt::format("has {} axes, at most {} are allowed", spec.shape.size(), kMaxRank));
  std::int64_t elements = 1;
  for (const std::int64_t size : spec.shape) {
    if (size < 1) fail(at, fmt::format("has shape [{}]: a size below 1", fmt::join(spec.shape, ", ")));
    if (__builtin_mul_overflow(elements, size, &elements) || elements > kMaxElements)
      fail(at, fmt::format("has shape [{}]: more than 2^44 elements", fmt::join(spec.shape, ", ")));
  }
  if (!spec.init.is_null() && !(spec.init.is_object() && spec.init.contains("kind") && spec.init["kind"].is_string()))
    fail(at, fmt::format("its initialiser is {}, expected an object with a 'kind'", spec.init.dump()));
}

void check_inputs(const Graph& graph, std::set<std::string>& values) {
  for (const Input& input : graph.inputs) {
    const std::string at = fmt::format("input '{}'", input.name);
    check_name(at, input.name);
    if (!values.insert(input.name).second) fail(at, "its name is taken");
    if (input.type.dims.size() > kMaxRank) fail(at, fmt::format("has {} axes, at most {} are allowed", input.type.dims.size(), kMaxRank));
    for (const Dim& dim : input.type.dims) {
      if (dim.is_known() && dim.value() < 1) fail(at, fmt::format("is {}: a size below 1", type_text(input.type)));
    }
  }
}

void check_outputs(const Graph& graph, const std::map<std::string, ValueType>& types) {
  if (graph.outputs.empty()) fail("outputs", "the graph has no output");
  std::set<std::string> names;
  for (const Output& output : graph.outputs) {
    const std::string at = fmt::format("output '{}'", output.name);
    check_name(at, output.name);
    if (!names.insert(output.name).second) fail(at, "its name is taken");
    if (types.count(output.value)) continue;
    std::vector<std::string> known;
    for (const auto& [name, type] : types) known.push_back(name);
    const std::string near = core::nearest(output.value, known);
    fail(at, fmt::format("is '{}', which no input or node makes", output.value), near.empty() ? "" : fmt::format("did you mean '{}'", near));
  }
}

void check(const Graph& graph) {
  if (graph.nodes.size() > kMaxNodes) fail("nodes", fmt::format("{} nodes, at most {} are allowed", graph.nodes.size(), kMaxNodes));
  if (graph.tensors.size() > kMaxTensors) fail("tensors", fmt::format("{} tensors, at most {} are allowed", graph.tensors.size(), kMaxTensors));
  std::set<std::string> unused, values;
  for (const TensorSpec& spec : graph.tensors) {
    check_tensor(spec);
    if (!unused.insert(spec.name).second) fail(fmt::format("tensor '{}'", spec.name), "is in the table twice");
  }
  check_inputs(graph, values);
  for (const Node& node : graph.nodes) {
    const std::string at = fmt::format("node '{}' ({})", node.name, node.op);
    check_name(at, node.name);
    if (!values.insert(node.name).second) fail(at, "its name is taken");
    op(node.op, fmt::format("node '{}'", node.name));
    if (!node.placement.is_null() && !node.placement.is_object()) fail(at, "its placement is not a mapping");
    for (const auto& [name, slot] : node.slots) unused.erase(slot.tensor);
  }
  const std::map<std::string, ValueType> types = infer_types(graph);
  check_outputs(graph, types);
  if (!unused.empty()) fail(fmt::format("tensor '{}'", *unused.begin()), "no node uses it");
  if (!graph.meta.is_object()) fail("meta", "is not a mapping");
}

}  // namespace verifier

void verify(const Graph& graph, const std::string& where) {
  try {
    verifier::check(graph);
  } catch (const Error& e) {
    if (where.empty()) throw;
    throw Error(e.code(), e.where().empty() ? where : where + ": " + e.where(), e.message(), e.hint());
  }
}

}  // namespace ds::graph

// A model as data: typed inputs and outputs, a table of named tensors, and nodes in topological order (design, section 3).
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/graph/dim.h"
#include "base/io/array.h"

namespace ds::graph {

using Json = nlohmann::json;
using io::DType;
struct Parameters;  // template.h

struct ValueType {
  DType dtype = DType::kF32;
  std::vector<Dim> dims;
};

enum class Role { kParameter, kBuffer, kConstant };

/// A tensor of the table. `init` says how it starts: {"kind": "kaiming_uniform", "a": 2.236} etc. (exec/init.h lists the kinds).
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  Role role = Role::kParameter;
  Json init;
};

/// What a node's slot points to: a tensor of the table, or rows [begin, end) of its axis.
struct Slot {
  std::string tensor;
  int axis = 0;
  std::int64_t begin = -1, end = -1;  ///< begin < 0: the whole tensor
  bool whole() const { return begin < 0; }
};

/// One operation. Its first output is the value `<name>`, further ones are `<name>:1`, `<name>:2` ...
struct Node {
  std::string name;  ///< unique, dotted: "layer1.0.conv1"
  std::string op;
  Json attrs = Json::object();  ///< only those that differ from the schema's defaults need be there
  std::vector<std::string> inputs;
  int outputs = 1;
  std::map<std::string, Slot> slots;
  Json placement;  ///< device, stage, shard; null = the one device

  std::string output(int i = 0) const { return i == 0 ? name : name + ":" + std::to_string(i); }
};

struct Input {
  std::string name;
  ValueType type;
};

struct Output {
  std::string name;  ///< "logits"
  std::string value;
};

struct Graph {
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<TensorSpec> tensors;
  std::vector<Node> nodes;
  Json meta = Json::object();  ///< {"arch": "cnn", "options": {...}}: what it was built from; never needed to run it

  const TensorSpec* find_tensor(const std::string& name) const;  ///< nullptr if absent
  TensorSpec* find_tensor(const std::string& name);
  const TensorSpec& tensor(const std::string& name) const;  ///< throws ds::Error(kInput)
  const Node* find_node(const std::string& name) const;
  Node* find_node(const std::string& name);
  /// Nodes that read a value, in order.
  std::vector<const Node*> users(const std::string& value) const;
  /// The node that makes a value, or nullptr for an input.
  const Node* producer(const std::string& value) const;
};

/// The form in checkpoints (canonical: every attribute is written, with the schema's default where the node has none) and back.
/// from_json is strict about the form and throws ds::Error(kInput, where + entry, ...); that the graph makes sense is verify's matter.
Json to_json(const Graph& graph);
Graph from_json(const Json& json, const std::string& where);

/// The form that people write: the same keys in YAML, one node a line. Left out is what has a default: attributes, the input of a node that
/// follows the one before, slots `<node>.<slot>` and their tensors, `float32`, `parameter`. A slot is a name, "name[begin:end]", or `~` for an
/// optional one that is not there. Tensors are placed in order of first use. to_yaml wants a graph that verifies; from_yaml verifies.
/// Parameters and repetitions: template.h.
std::string to_yaml(const Graph& graph);
Graph from_yaml(const std::string& text, const std::string& where);
Graph from_yaml(const std::string& text, const std::string& where, const Parameters& parameters);

/// Types of all values. Throws ds::Error(kInput) naming the node whose inputs do not fit.
std::map<std::string, ValueType> infer_types(const Graph& graph);

/// Checks everything: unique names, order, known ops, attributes (type, range), slots (present, dtype, shape), types, outputs, no unused
/// tensors, no tensor of length zero. Throws ds::Error(kInput, where + node).
void verify(const Graph& graph, const std::string& where);

/// Every symbol of the inputs with a value: what is given, else N = 1 and 128 for any other (the length of a sequence).
inline constexpr std::int64_t kUsualLength = 128;
Bindings bind_all(const Graph& graph, Bindings given = {});

/// Multiply-accumulates and activation elements for the given symbols (bind_all fills in the others), parameters and bytes of the tensors.
struct Cost {
  std::int64_t macs = 0;
  std::int64_t parameters = 0;        ///< elements of parameters (tied ones once)
  std::int64_t tensor_bytes = 0;      ///< bytes of all tensors of the table
  std::int64_t activation_bytes = 0;  ///< sum over values
};
Cost cost(const Graph& graph, const Bindings& bindings = {});
/// The same per node, in order of the nodes.
std::vector<std::pair<std::string, Cost>> node_costs(const Graph& graph, const Bindings& bindings = {});

std::string type_text(const ValueType& type);  ///< "float32[N, 3, 32, 32]"

}  // namespace ds::graph

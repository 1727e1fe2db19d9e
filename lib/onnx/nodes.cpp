// A model's nodes as they are, in types that know no protobuf.
#include <memory>

#include "onnx/read.h"

namespace ds::onnx {

namespace {

commands::OnnxAttribute attribute_of(const pb::AttributeProto& a, const std::string& path) {
  switch (a.type()) {
    case pb::AttributeProto::FLOAT: return static_cast<double>(a.f());
    case pb::AttributeProto::STRING: return a.s();
    case pb::AttributeProto::INTS: return std::vector<std::int64_t>(a.ints().begin(), a.ints().end());
    case pb::AttributeProto::FLOATS: return std::vector<double>(a.floats().begin(), a.floats().end());
    case pb::AttributeProto::STRINGS: return std::vector<std::string>(a.strings().begin(), a.strings().end());
    case pb::AttributeProto::TENSOR: {
      const auto raw = std::make_shared<std::string>(a.t().raw_data());
      std::map<std::string, io::Bytes> beside;
      const io::Bytes bytes = raw->empty() ? io::Bytes{} : io::Bytes{reinterpret_cast<std::byte*>(raw->data()), raw->size(), raw};
      return tensor_values(a.t(), bytes, path, beside);
    }
    default: return a.i();
  }
}

}  // namespace

commands::OnnxNodes read_nodes(const std::string& path) {
  const io::Bytes bytes = io::map_file(path);
  const Parsed parsed = parse_model(bytes, path);
  commands::OnnxNodes found;
  for (const auto& opset : parsed.proto.opset_import())
    if (opset.domain().empty() || opset.domain() == "ai.onnx") found.opset = opset.version();
  found.tensors = read_tensors(parsed, bytes, path).by_name;
  const pb::GraphProto& graph = parsed.proto.graph();
  for (const auto& input : graph.input())
    if (!found.tensors.count(input.name())) found.inputs.push_back(input.name());
  for (const auto& output : graph.output()) found.outputs.push_back(output.name());
  for (const pb::NodeProto& node : graph.node()) {
    commands::OnnxNode& to = found.nodes.emplace_back();
    to.op = node.op_type(), to.domain = node.domain(), to.name = node.name();
    to.inputs.assign(node.input().begin(), node.input().end());
    to.outputs.assign(node.output().begin(), node.output().end());
    for (const auto& attribute : node.attribute()) to.attributes.emplace(attribute.name(), attribute_of(attribute, path));
  }
  return found;
}

}  // namespace ds::onnx

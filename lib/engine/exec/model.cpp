#include "engine/exec/model.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include "base/core/error.h"
#include "base/graph/adapters.h"
#include "engine/exec/init.h"

namespace ds::exec {

namespace {

struct Pair {
  io::DType dtype;
  at::ScalarType type;
};

constexpr Pair kTypes[] = {{io::DType::kF64, at::kDouble}, {io::DType::kF32, at::kFloat}, {io::DType::kF16, at::kHalf}, {io::DType::kBF16, at::kBFloat16},
                           {io::DType::kI64, at::kLong},   {io::DType::kI32, at::kInt},   {io::DType::kI16, at::kShort}, {io::DType::kI8, at::kChar},
                           {io::DType::kU8, at::kByte},    {io::DType::kBool, at::kBool}};

}  // namespace

at::ScalarType scalar_type(io::DType dtype) {
  for (const Pair& p : kTypes)
    if (p.dtype == dtype) return p.type;
  throw Error(Exit::kInput, io::dtype_name(dtype), "no tensor has this element type", "unpack it first");
}

io::DType dtype_of(at::ScalarType type) {
  for (const Pair& p : kTypes)
    if (p.type == type) return p.dtype;
  throw Error(Exit::kFailure, at::toString(type), "checkpoints cannot hold this element type");
}

at::Tensor to_tensor(const io::Array& array) {
  if (array.dtype == io::DType::kI4 || array.dtype == io::DType::kU4) {  // packed bytes; the op that reads them knows
    return at::from_blob(array.data, {std::int64_t(array.bytes())}, [keeper = array.keeper](void*) {}, at::kByte);
  }
  return at::from_blob(array.data, array.shape, [keeper = array.keeper](void*) {}, scalar_type(array.dtype));
}

io::Array to_array(const at::Tensor& tensor) {
  // Shares the memory where it is contiguous already; detached, so that a checkpoint keeps no autograd graph alive.
  const at::Tensor whole = tensor.detach().contiguous();
  io::Array array;
  array.dtype = dtype_of(whole.scalar_type());
  array.shape = whole.sizes().vec();
  auto keeper = std::make_shared<at::Tensor>(whole);
  array.data = static_cast<std::byte*>(whole.data_ptr());
  array.keeper = keeper;
  return array;
}

std::vector<std::string> Model::parameters() const {
  std::vector<std::string> names;
  for (const auto& spec : graph.tensors)
    if (spec.role == graph::Role::kParameter && tensors.at(spec.name).is_floating_point()) names.push_back(spec.name);
  return names;
}

void Model::require_grad(bool on) {
  for (const auto& name : parameters()) {
    at::Tensor& t = tensors.at(name);
    if (t.requires_grad() != on) t = t.detach().requires_grad_(on);
  }
}

void Model::to(at::ScalarType dtype) {
  for (auto& [name, tensor] : tensors)
    if (tensor.is_floating_point()) tensor = tensor.detach().to(dtype);
  for (auto& spec : graph.tensors)
    if (io::is_float(spec.dtype)) spec.dtype = dtype_of(dtype);
  for (auto& input : graph.inputs)
    if (io::is_float(input.type.dtype)) input.type.dtype = dtype_of(dtype);
}

void Model::to_channels_last() {
  for (const auto& spec : graph.tensors) {
    at::Tensor& t = tensors.at(spec.name);
    if (spec.role == graph::Role::kParameter && t.dim() == 4 && t.is_floating_point()) {
      const bool grad = t.requires_grad();
      t = t.detach().contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(grad);
    }
  }
}

bool Model::is_quantized() const {
  for (const auto& node : graph.nodes)
    if (node.op == "qconv2d" || node.op == "qlinear") return true;
  return false;
}

Model Model::clone() const {
  Model copy;
  copy.graph = graph;
  for (const auto& [name, tensor] : tensors) copy.tensors[name] = tensor.detach().clone();
  return copy;
}

Model model_from(const io::Checkpoint& checkpoint) {
  Model model;
  graph::refuse_adapter(checkpoint.graph, checkpoint.path);
  model.graph = graph::from_json(checkpoint.graph, checkpoint.path);
  graph::verify(model.graph, checkpoint.path);
  for (const auto& spec : model.graph.tensors) {
    const auto found = checkpoint.tensors.find(spec.name);
    if (found == checkpoint.tensors.end())
      throw Error(Exit::kInput, checkpoint.path + ":/tensors/" + spec.name, "the graph names this tensor, the file lacks it");
    const io::Array& array = found->second;
    if (array.shape != spec.shape || array.dtype != spec.dtype)
      throw Error(Exit::kInput, checkpoint.path + ":/tensors/" + spec.name,
                  std::string(io::dtype_name(array.dtype)) + io::shape_text(array.shape) + ", the graph says " + io::dtype_name(spec.dtype) +
                      io::shape_text(spec.shape));
    model.tensors[spec.name] = to_tensor(found->second);
  }
  return model;
}

void store(const Model& model, io::Checkpoint& checkpoint) {
  checkpoint.graph = graph::to_json(model.graph);
  checkpoint.tensors.clear();
  for (const auto& spec : model.graph.tensors) {
    io::Array array = to_array(model.tensors.at(spec.name));
    array.shape = spec.shape;
    array.dtype = spec.dtype;  // int4 is held as bytes
    checkpoint.tensors[spec.name] = std::move(array);
  }
}

Model make_model(graph::Graph graph, std::uint64_t seed) {
  Model model;
  model.graph = std::move(graph);
  for (const auto& spec : model.graph.tensors) {
    at::Tensor t = at::empty(spec.shape, at::TensorOptions().dtype(scalar_type(spec.dtype)));
    initialise(t, spec, seed);
    model.tensors[spec.name] = std::move(t);
  }
  return model;
}

}  // namespace ds::exec

// int8 models as float ones: the twin that computes the same without rounding, the one for training that rounds as int8 does, and back.
#include <ATen/ops/round.h>

#include "base/core/error.h"
#include "engine/compress/lowering.h"
#include "engine/compress/quantizer.h"

namespace ds::compress {

using graph::Node;

namespace {

class Raise {
 public:
  /// @param fake  values and weights are rounded as in int8
  Raise(const exec::Model& model, bool fake) : model_(model), fake_(fake) {
    out_.graph.inputs = model.graph.inputs;
    out_.graph.outputs = model.graph.outputs;
    out_.graph.meta = model.graph.meta;
  }

  exec::Model run() {
    for (const Node& n : model_.graph.nodes) visit(n);
    for (graph::Output& o : out_.graph.outputs) o.value = name_of(o.value);
    graph::verify(out_.graph, fake_ ? "fake-quantized net" : "float twin");
    return std::move(out_);
  }

 private:
  std::string name_of(const std::string& value) const {
    const auto found = names_.find(value);
    return found == names_.end() ? value : found->second;
  }

  std::string add(const std::string& name, const std::string& op, std::vector<std::string> inputs, graph::Json attrs = graph::Json::object()) {
    out_.graph.nodes.push_back({name, op, std::move(attrs), std::move(inputs), 1, {}, nullptr});
    return name;
  }

  /// The range of the codes is the upper end of ReLU6: without rounding it has to be said.
  std::string relu_of(const graph::Json& attrs) const { return !fake_ && attrs["ceiling"].get<double>() == 6 ? "relu6" : "relu"; }

  std::string fake(const std::string& name, const std::string& value, const Node& n, const char* prefix) {
    if (!fake_) return value;
    const graph::Json attrs = graph::full_attributes(n);
    return add(name, "fake_quantize", {value}, {{"scale", attrs[std::string(prefix) + "scale"]}, {"zero_point", attrs[std::string(prefix) + "zero_point"]}});
  }

  void put(const std::string& name, at::Tensor value) {
    out_.graph.tensors.push_back({name, io::DType::kF32, value.sizes().vec(), graph::Role::kParameter, nullptr});
    out_.tensors[name] = std::move(value);
  }

  void weighted(const Node& n) {
    const graph::Json attrs = graph::full_attributes(n);
    Node layer{n.name, (fake_ ? "fake_" : "") + n.op.substr(1), graph::Json::object(), {name_of(n.inputs[0])}, 1, {}, nullptr};
    for (const char* key : {"out_channels", "kernel", "stride", "padding", "dilation", "groups", "out_features"})
      if (attrs.contains(key)) layer.attrs[key] = attrs[key];
    const at::Tensor scale = model_.tensors.at(n.slots.at("weight_scale").tensor).to(at::kFloat);
    const at::Tensor codes = model_.tensors.at(n.slots.at("weight").tensor).to(at::kFloat);
    std::vector<std::int64_t> rows(std::size_t(codes.dim()), 1);
    rows[0] = -1;
    put(n.name + ".weight", codes.mul(scale.reshape(rows)));
    layer.slots["weight"] = graph::Slot{n.name + ".weight"};
    if (const auto bias = n.slots.find("bias"); bias != n.slots.end()) {
      put(n.name + ".bias",
          model_.tensors.at(bias->second.tensor).to(at::kDouble).mul(scale.to(at::kDouble)).mul(attrs["x_scale"].get<double>()).to(at::kFloat));
      layer.slots["bias"] = graph::Slot{n.name + ".bias"};
    }
    out_.graph.nodes.push_back(layer);
    std::string value = n.name;
    if (n.inputs.size() > 1) value = add(n.name + ".sum", "add", {value, name_of(n.inputs[1])});
    if (attrs["relu"].get<bool>()) value = add(n.name + ".relu", relu_of(attrs), {value});
    if (const std::string f = attrs["activation"]; f == "gelu_tanh") value = add(n.name + ".activation", "gelu", {value}, {{"approximate", "tanh"}});
    else if (f != "none") value = add(n.name + ".activation", f, {value});
    names_[n.name] = attrs["dequantize"].get<bool>() ? value : fake(n.name + ".round", value, n, "y_");
  }

  void visit(const Node& n) {
    if (n.op == "qconv2d" || n.op == "qlinear") return weighted(n);
    if (n.op == "quantize") {
      names_[n.name] = fake(n.name, name_of(n.inputs[0]), n, "");
    } else if (n.op == "dequantize") {
      names_[n.name] = name_of(n.inputs[0]);
    } else if (n.op == "qadd") {
      std::string value = add(n.name, "add", {name_of(n.inputs[0]), name_of(n.inputs[1])});
      const graph::Json attrs = graph::full_attributes(n);
      if (attrs["relu"].get<bool>()) value = add(n.name + ".relu", relu_of(attrs), {value});
      names_[n.name] = fake(n.name + ".round", value, n, "y_");
    } else if (n.op == "qmul") {
      names_[n.name] = fake(n.name + ".round", add(n.name, "mul", {name_of(n.inputs[0]), name_of(n.inputs[1])}), n, "y_");
    } else if (n.op == "qmax_pool2d" || n.op == "qavg_pool2d" || n.op == "qglobal_avg_pool") {
      graph::Json attrs = n.attrs;
      for (const char* key : {"x_scale", "x_zero_point", "y_scale", "y_zero_point"}) attrs.erase(key);
      const std::string value = add(n.name, n.op.substr(1), {name_of(n.inputs[0])}, attrs);
      if (n.op != "qmax_pool2d") names_[n.name] = fake(n.name + ".round", value, n, "y_");
    } else {
      keep(n);
    }
  }

  void keep(const Node& n) {
    Node copy = n;
    for (std::string& input : copy.inputs) input = name_of(input);
    for (const auto& [slot, place] : n.slots) {
      if (out_.tensors.count(place.tensor)) continue;
      out_.graph.tensors.push_back(model_.graph.tensor(place.tensor));
      out_.tensors[place.tensor] = model_.tensors.at(place.tensor).clone();
    }
    out_.graph.nodes.push_back(copy);
  }

  const exec::Model& model_;
  bool fake_;
  exec::Model out_;
  std::map<std::string, std::string> names_;
};

}  // namespace

exec::Model to_float(const exec::Model& int8_model) { return Raise(int8_model, false).run(); }
exec::Model to_fake_quantized(const exec::Model& int8_model) { return Raise(int8_model, true).run(); }

exec::Model from_fake_quantized(const exec::Model& trained, const exec::Model& int8_model) {
  exec::Model out = int8_model;
  for (const Node& n : out.graph.nodes) {
    if (n.op == "qconv2d" || n.op == "qlinear") {
      const auto bias = n.slots.find("bias");
      const at::Tensor b = bias == n.slots.end() ? at::Tensor() : trained.tensors.at(n.name + ".bias");
      const float x_scale = graph::full_attributes(n)["x_scale"].get<float>();
      const QuantizedWeight w = quantize_weight(trained.tensors.at(n.name + ".weight"), b, x_scale);
      out.tensors[n.slots.at("weight").tensor] = w.codes;
      out.tensors[n.slots.at("weight_scale").tensor] = w.scale;
      if (b.defined()) out.tensors[bias->second.tensor] = quantize_bias(b, x_scale, w.scale);
      continue;
    }
    for (const auto& [slot, place] : n.slots)  // layers that stayed float were trained too
      if (const auto found = trained.tensors.find(place.tensor); found != trained.tensors.end())
        out.tensors[place.tensor] = found->second.detach().contiguous();
  }
  return out;
}

}  // namespace ds::compress

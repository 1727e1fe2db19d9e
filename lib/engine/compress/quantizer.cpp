#include "engine/compress/quantizer.h"

#include <cmath>

#include "base/core/error.h"
#include "base/graph/passes.h"
#include "engine/compress/calibration.h"
#include "engine/compress/lowering.h"

namespace ds::compress {

namespace {

exec::Model fold(const exec::Model& model) {
  std::map<std::string, io::Array> arrays;
  for (const auto& [name, tensor] : model.tensors) arrays[name] = exec::to_array(tensor);
  const graph::Folded folded = graph::fold_batch_norm(model.graph, arrays);
  exec::Model out;
  out.graph = folded.graph;
  for (const auto& spec : out.graph.tensors) {
    const auto changed = folded.tensors.find(spec.name);
    out.tensors[spec.name] = changed == folded.tensors.end() ? model.tensors.at(spec.name).detach() : exec::to_tensor(changed->second);
  }
  return out;
}

/// What quantizing each weight cost: mean squared error and signal to noise in decibels.
Json weight_report(const exec::Model& before, const exec::Model& after) {
  Json rows = Json::array();
  for (const graph::Node& n : after.graph.nodes) {
    if (n.op != "qconv2d" && n.op != "qlinear") continue;
    const at::Tensor w = slot_value(before, before.graph.find_node(n.name)->slots.at("weight")).detach().to(at::kDouble);
    const at::Tensor codes = after.tensors.at(n.slots.at("weight").tensor), scale = after.tensors.at(n.slots.at("weight_scale").tensor);
    std::vector<std::int64_t> shape(std::size_t(codes.dim()), 1);
    shape[0] = -1;
    const double noise = codes.to(at::kDouble).mul(scale.to(at::kDouble).reshape(shape)).sub(w.reshape(codes.sizes())).square().mean().item<double>();
    const double signal = w.square().mean().item<double>();
    const std::int64_t count = w.numel();
    rows.push_back({{"tensor", n.name + ".weight"},
                    {"from", "float32"},
                    {"to", "int8"},
                    {"bytes_before", 4 * count},
                    {"bytes_after", count + 4 * scale.numel()},
                    {"mse", noise},
                    {"sqnr_db", noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : 999.0}});
  }
  return rows;
}

}  // namespace

exec::Model quantize_static(const exec::Model& model, const data::Dataset& data, const Json& preprocessing, const CalibrationOptions& options, Json& report) {
  if (model.is_quantized()) throw Error(Exit::kInput, "model", "is int8 already", "train it on with ds-distill, or quantize its float parent");
  for (const std::string& name : options.skip)
    if (!model.graph.find_node(name)) throw Error(Exit::kUsage, "--skip", "no node '" + name + "' in the model");
  exec::Model folded = fold(model);
  const LoweringPlan plan = plan_lowering(folded.graph, {options.skip.begin(), options.skip.end()});
  if (plan.by_last.empty()) throw Error(Exit::kInput, "model", "has no layer that int8 can run", "conv2d, linear and add have int8 twins");
  const auto ranges = calibrate(folded, data, preprocessing, options, plan.shared_ranges);
  exec::Model out = lower_to_int8(folded, plan, ranges);
  report = weight_report(folded, out);
  return out;
}

}  // namespace ds::compress
